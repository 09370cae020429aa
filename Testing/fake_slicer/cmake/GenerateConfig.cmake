# Writes down what the extension told Slicer about itself: one `name=value` a line.
get_property(stub_modules GLOBAL PROPERTY STUB_MODULES)
get_property(stub_tests GLOBAL PROPERTY STUB_TESTS)
set(stub_lines "project=${PROJECT_NAME}\nmodules=${stub_modules}\ntests=${stub_tests}\n")
foreach(stub_name HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  string(APPEND stub_lines "${stub_name}=${EXTENSION_${stub_name}}\n")
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/extension.txt "${stub_lines}")
