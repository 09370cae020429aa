# The two commands of Slicer's build system that the extension calls.
set(BUILD_TESTING ON)

macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(STUB "WITH_GENERIC_TESTS;WITH_SUBDIR" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(STUB_UNPARSED_ARGUMENTS OR NOT STUB_NAME)
    message(FATAL_ERROR "Unknown keywords or no NAME: ${ARGN}")
  endif()
  set(stub_subdir "")
  if(STUB_WITH_SUBDIR)
    get_filename_component(stub_subdir ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  endif()
  foreach(stub_file IN LISTS STUB_SCRIPTS STUB_RESOURCES)
    if(IS_ABSOLUTE ${stub_file} OR ${stub_file} MATCHES "\\.\\." OR NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${stub_file})
      message(FATAL_ERROR "${STUB_NAME} lists ${stub_file}, which is not a file inside its folder")
    endif()
    get_filename_component(stub_folder ${stub_file} DIRECTORY)
    file(COPY ${stub_file} DESTINATION ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}/${stub_subdir}/${stub_folder})
    install(
      FILES ${stub_file}
      DESTINATION ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}/${stub_subdir}/${stub_folder}
      COMPONENT RuntimeLibraries
    )
  endforeach()
  set_property(GLOBAL APPEND PROPERTY STUB_MODULES "${STUB_NAME} generic_tests=${STUB_WITH_GENERIC_TESTS}")
endmacro()

macro(slicer_add_python_unittest)
  cmake_parse_arguments(STUB "" "SCRIPT" "" ${ARGN})
  set_property(GLOBAL APPEND PROPERTY STUB_TESTS ${STUB_SCRIPT})
endmacro()
