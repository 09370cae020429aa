"""Images of any contrast from healthy T1 scans, to train networks that know no contrast in particular.

`anatomy.Anatomy.of` finds the tissues of a prepared scan, once. `contrast.Contrast.draw` draws a contrast and an
acquisition, a record of plain numbers. `Contrast.apply` computes slices of a scan in it; the same contrast applies to
other slices and other scans, so that foreign tissue in a slab has the contrast of the slab.

Half of the contrasts give each tissue an intensity, with the texture of the T1; the other half are curves over the T1.
Among both are contrasts like T1, T2, FLAIR, proton density and T1 with contrast agent, and any others. The benchmark
computes its contrasts by signal equations with published relaxation times; nothing here comes from there.

Sources: class-sampled intensities, resolution and fields (Billot et al. 2023, SynthSeg; Liu et al. 2025, UNA).
"""
