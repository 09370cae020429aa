# Slicer's own file calls CPack; that it was reached, after the description, is all that the stub has to know.
if(NOT EXISTS ${CMAKE_BINARY_DIR}/extension.txt)
  message(FATAL_ERROR "Slicer_EXTENSION_GENERATE_CONFIG has to be included before Slicer_EXTENSION_CPACK")
endif()
file(APPEND ${CMAKE_BINARY_DIR}/extension.txt "cpack=yes\n")
