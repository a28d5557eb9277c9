# The layers of Trued, and the only direction in which they may depend.
#
#   trued_library(
#     NAME n                 creates the static library trued_n (an INTERFACE library while the
#                            folder has no .cpp) and, if there are *_test.cpp, trued_n_test
#     LAYER layer            one of the layers in the table below
#     [DEPS lib...]          project libraries, without the trued_ prefix; PUBLIC
#     [PRIVATE_DEPS]         link DEPS PRIVATE instead: for a library whose users see include/ only
#     [EXTERNAL item...]     third-party link items; PRIVATE
#     [PUBLIC_EXTERNAL ...]  third-party link items that the headers name (fmt in base, no other)
#     [DEFINES ...]          compile definitions, PRIVATE, for the library and its test
#     [INCLUDES dir...]      include directories besides src/, PUBLIC
#     [SUBDIRS dir...]       folders below this one whose sources belong to the same library
#     [EXCLUDE file...]      sources that are not part of the library (main.cpp)
#     [TESTONLY]             cannot be linked by anything that ships
#     [TEST_DEPS lib...]     project libraries of the test alone; any layer
#     [TEST_EXTERNAL ...])   third-party link items of the test alone
#
# trued_check_layers() is called once, at the end of the top CMakeLists.txt, and ends the
# configuration with FATAL_ERROR if an edge is not in the table, if two libraries of one layer
# depend on each other without being listed, if a shipped library uses a TESTONLY one, or if a
# dependency does not exist.

include(GoogleTest)

# Seconds that one test may take. Sanitizers slow everything down several times.
set(TRUED_TEST_TIMEOUT 300)
if(TRUED_SANITIZE)
  set(TRUED_TEST_TIMEOUT 900)
endif()

# ---- the table -----------------------------------------------------------------------------------
set(TRUED_LAYERS
  base core json pg ledger ledger_driver target define io connector engine config api embed lab cli
  sim test bench)

set(TRUED_MAY_USE_base)
set(TRUED_MAY_USE_core base)
set(TRUED_MAY_USE_json base core)
set(TRUED_MAY_USE_pg base)
set(TRUED_MAY_USE_ledger base core json)
set(TRUED_MAY_USE_ledger_driver ledger pg json core base)
set(TRUED_MAY_USE_target base core json)
set(TRUED_MAY_USE_define target json core base)
set(TRUED_MAY_USE_io base)
set(TRUED_MAY_USE_connector target io pg json core base)
set(TRUED_MAY_USE_engine ledger target json core base)
set(TRUED_MAY_USE_config engine define target json core base)
set(TRUED_MAY_USE_api engine ledger target define config io json core base)
set(TRUED_MAY_USE_embed engine ledger ledger_driver target define connector json core base)
set(TRUED_MAY_USE_lab
  engine ledger ledger_driver target define connector io api config json core base embed)
set(TRUED_MAY_USE_cli
  base core json pg ledger ledger_driver target define io connector engine config api embed lab)
set(TRUED_MAY_USE_sim engine ledger ledger_driver target define connector json core base)
set(TRUED_MAY_USE_test ${TRUED_LAYERS})
set(TRUED_MAY_USE_bench ${TRUED_LAYERS})

# Edges inside one layer, as "from>to". CMake accepts cycles among static libraries in silence, so
# each such edge is written down here or refused.
set(TRUED_SAME_LAYER_EDGES)

# Layers that never ship: they may use TESTONLY libraries.
set(TRUED_UNSHIPPED_LAYERS sim test bench)

# ---- sources -------------------------------------------------------------------------------------
# Sets <out_sources> and <out_tests> from the *.cpp of this folder and of the named subfolders.
function(trued_glob_sources out_sources out_tests)
  set(patterns "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  foreach(dir IN LISTS ARGN)
    list(APPEND patterns "${CMAKE_CURRENT_SOURCE_DIR}/${dir}/*.cpp")
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS LIST_DIRECTORIES false ${patterns})
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  set(${out_sources} ${sources} PARENT_SCOPE)
  set(${out_tests} ${tests} PARENT_SCOPE)
endfunction()

# ---- libraries -----------------------------------------------------------------------------------
function(trued_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "TESTONLY;PRIVATE_DEPS" "NAME;LAYER;TEST_PARTS"
    "DEPS;EXTERNAL;PUBLIC_EXTERNAL;DEFINES;INCLUDES;SUBDIRS;EXCLUDE;TEST_DEPS;TEST_EXTERNAL")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "trued_library(${arg_NAME}): unknown words ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_LAYER IN_LIST TRUED_LAYERS)
    list(JOIN TRUED_LAYERS ", " known)
    message(FATAL_ERROR
      "trued_library(${arg_NAME}): no layer '${arg_LAYER}'; the layers are: ${known}")
  endif()

  set_property(GLOBAL APPEND PROPERTY TRUED_LIBRARIES ${arg_NAME})
  set_property(GLOBAL PROPERTY TRUED_LAYER_OF_${arg_NAME} ${arg_LAYER})
  set_property(GLOBAL PROPERTY TRUED_DEPS_OF_${arg_NAME} ${arg_DEPS})
  set_property(GLOBAL PROPERTY TRUED_TEST_DEPS_OF_${arg_NAME} ${arg_TEST_DEPS})
  set_property(GLOBAL PROPERTY TRUED_TESTONLY_${arg_NAME} ${arg_TESTONLY})

  trued_glob_sources(sources tests ${arg_SUBDIRS})
  foreach(file IN LISTS arg_EXCLUDE)
    list(REMOVE_ITEM sources "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  endforeach()

  set(target trued_${arg_NAME})
  list(TRANSFORM arg_DEPS PREPEND trued_)
  if(sources)
    add_library(${target} STATIC ${sources})
    set(dep_scope PUBLIC)
    if(arg_PRIVATE_DEPS)
      set(dep_scope PRIVATE)
    endif()
    target_include_directories(${target}
      ${dep_scope} "${PROJECT_SOURCE_DIR}/src" PUBLIC ${arg_INCLUDES})
    target_link_libraries(${target}
      ${dep_scope} ${arg_DEPS} PUBLIC ${arg_PUBLIC_EXTERNAL} PRIVATE ${arg_EXTERNAL})
    target_compile_definitions(${target}
      PRIVATE ${arg_DEFINES} TRUED_VERSION="${PROJECT_VERSION}")
  else()
    message(STATUS "${target}: no sources yet, headers only")
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE "${PROJECT_SOURCE_DIR}/src" ${arg_INCLUDES})
    target_link_libraries(${target} INTERFACE ${arg_DEPS} ${arg_PUBLIC_EXTERNAL})
  endif()

  if(tests)
    list(TRANSFORM arg_TEST_DEPS PREPEND trued_)
    trued_test_executable(${target}_test ${arg_NAME} SOURCES ${tests}
      LINK ${target} ${arg_DEPS} ${arg_TEST_DEPS} ${arg_EXTERNAL} ${arg_TEST_EXTERNAL}
      DEFINES ${arg_DEFINES}
      PARTS ${arg_TEST_PARTS})
  endif()
endfunction()

# A GoogleTest program; ctest sees every test in it, labelled, with a bound on its time. Where tests
# share what takes long to start (a database), PARTS says into how many processes they are dealt,
# and ctest sees those.
function(trued_test_executable target label)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "PARTS" "SOURCES;LINK;DEFINES")
  add_executable(${target} ${arg_SOURCES})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target}
    PRIVATE ${arg_LINK} GTest::gmock_main GTest::gmock GTest::gtest rapidcheck)
  target_compile_definitions(${target} PRIVATE
    ${arg_DEFINES} TRUED_VERSION="${PROJECT_VERSION}" TRUED_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  if(arg_PARTS)
    foreach(part RANGE 1 ${arg_PARTS})
      math(EXPR index "${part} - 1")
      add_test(NAME ${label}.part_${part}_of_${arg_PARTS} COMMAND ${target})
      set_tests_properties(${label}.part_${part}_of_${arg_PARTS} PROPERTIES
        TIMEOUT ${TRUED_TEST_TIMEOUT} LABELS ${label}
        ENVIRONMENT "GTEST_TOTAL_SHARDS=${arg_PARTS};GTEST_SHARD_INDEX=${index}")
    endforeach()
    return()
  endif()
  gtest_discover_tests(${target}
    TEST_PREFIX "${label}."
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${TRUED_TEST_TIMEOUT} LABELS ${label})
endfunction()

# ---- the check -----------------------------------------------------------------------------------
function(trued_check_layers)
  get_property(libraries GLOBAL PROPERTY TRUED_LIBRARIES)
  foreach(from IN LISTS libraries)
    get_property(deps GLOBAL PROPERTY TRUED_DEPS_OF_${from})
    foreach(to IN LISTS deps)
      trued_check_exists(${from} ${to} "${libraries}")
      trued_check_edge(${from} ${to})
    endforeach()
    get_property(test_deps GLOBAL PROPERTY TRUED_TEST_DEPS_OF_${from})
    foreach(to IN LISTS test_deps)
      trued_check_exists(${from} ${to} "${libraries}")
    endforeach()
  endforeach()
endfunction()

function(trued_check_exists from to libraries)
  if(NOT to IN_LIST libraries)
    message(FATAL_ERROR
      "Layers: trued_${from} depends on trued_${to}, which no trued_library() defines.")
  endif()
endfunction()

function(trued_check_edge from to)
  get_property(from_layer GLOBAL PROPERTY TRUED_LAYER_OF_${from})
  get_property(to_layer GLOBAL PROPERTY TRUED_LAYER_OF_${to})
  get_property(from_testonly GLOBAL PROPERTY TRUED_TESTONLY_${from})
  get_property(to_testonly GLOBAL PROPERTY TRUED_TESTONLY_${to})

  set(unshipped FALSE)
  if(from_testonly OR from_layer IN_LIST TRUED_UNSHIPPED_LAYERS)
    set(unshipped TRUE)
  endif()
  if(to_testonly AND NOT unshipped)
    message(FATAL_ERROR
      "Layers: trued_${from} ships and may not use trued_${to}, which is TESTONLY.")
  endif()

  set(may_use ${TRUED_MAY_USE_${from_layer}})
  if(to_layer IN_LIST may_use)
    return()
  endif()
  if(from_layer STREQUAL to_layer)
    if("${from}>${to}" IN_LIST TRUED_SAME_LAYER_EDGES)
      return()
    endif()
    message(FATAL_ERROR
      "Layers: forbidden edge trued_${from} -> trued_${to}: both are in layer '${from_layer}'; "
      "an edge inside a layer must be listed in TRUED_SAME_LAYER_EDGES.")
  endif()
  list(JOIN may_use ", " allowed)
  if(allowed STREQUAL "")
    set(allowed "nothing")
  endif()
  message(FATAL_ERROR
    "Layers: forbidden edge trued_${from} (layer '${from_layer}') -> trued_${to} "
    "(layer '${to_layer}'); layer '${from_layer}' may use: ${allowed}.")
endfunction()
