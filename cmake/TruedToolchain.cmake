# Compiler and linker settings that hold for every target, and the third-party packages.

include(CheckPIESupported)

# ---- options -------------------------------------------------------------------------------------
set(TRUED_SANITIZE "" CACHE STRING "Sanitizers: empty, 'address,undefined' or 'thread'")
set_property(CACHE TRUED_SANITIZE PROPERTY STRINGS "" "address,undefined" "thread")
if(NOT TRUED_SANITIZE MATCHES "^(|address,undefined|thread)$")
  message(FATAL_ERROR
    "TRUED_SANITIZE is '${TRUED_SANITIZE}'; use nothing, 'address,undefined' or 'thread'.")
endif()

# ---- ccache --------------------------------------------------------------------------------------
find_program(TRUED_CCACHE ccache)
mark_as_advanced(TRUED_CCACHE)
if(TRUED_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${TRUED_CCACHE}")
endif()

# ---- warnings ------------------------------------------------------------------------------------
# An unhandled enumerator is an error: a decision table with a hole must not compile.
add_compile_options(
  -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor
  -Werror=switch -Werror=switch-enum -Werror=return-type -Werror=unused-result)
add_compile_definitions(_GLIBCXX_ASSERTIONS)
add_link_options(-fuse-ld=lld)

# ---- hardening -----------------------------------------------------------------------------------
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
check_pie_supported(OUTPUT_VARIABLE trued_pie_output LANGUAGES CXX)
if(NOT CMAKE_CXX_LINK_PIE_SUPPORTED)
  message(FATAL_ERROR "The linker cannot make position-independent programs: ${trued_pie_output}")
endif()
if(CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo)$" AND NOT TRUED_SANITIZE)
  # -U first: some distributions predefine the macro with another level.
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong)
  add_link_options(-Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endif()

# Profiles and stack traces of a running server are worth the one register.
add_compile_options(-fno-omit-frame-pointer)

# ---- sanitizers ----------------------------------------------------------------------------------
if(TRUED_SANITIZE)
  add_compile_options(
    -fsanitize=${TRUED_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TRUED_SANITIZE})
endif()

# Coverage for libFuzzer; the fuzzers themselves are linked in fuzz/.
option(TRUED_FUZZ "Build the fuzzers (see fuzz/CMakeLists.txt)" OFF)
if(TRUED_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# ---- third-party packages ------------------------------------------------------------------------
# Found once here; each is linked by the one module that owns it (see the CMakeLists.txt there).
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(fmt 9 REQUIRED CONFIG)
find_package(spdlog REQUIRED CONFIG)
find_package(simdjson REQUIRED CONFIG)
find_package(prometheus-cpp REQUIRED CONFIG)
find_package(CLI11 REQUIRED CONFIG)
find_package(GTest REQUIRED CONFIG)
find_package(rapidcheck REQUIRED CONFIG)
find_package(benchmark REQUIRED CONFIG)
pkg_check_modules(trued_libgit2 REQUIRED IMPORTED_TARGET libgit2>=1.5)
pkg_check_modules(trued_tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(trued_libpq REQUIRED IMPORTED_TARGET libpq>=14)
pkg_check_modules(trued_re2 REQUIRED IMPORTED_TARGET re2)
