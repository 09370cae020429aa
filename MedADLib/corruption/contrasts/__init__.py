"""Images of any contrast from healthy T1 scans."""
