# C and C++ with generated sources, a shared library, and tests, by CMake in a folder of its own.
needs="cmake c++ make"
prepare() {
    mkdir -p src tests
    cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.20)
project(benign VERSION 1.2 LANGUAGES C CXX)
include(CTest)
find_package(Threads REQUIRED)
configure_file(src/version.h.in version.h)
add_library(words SHARED src/words.cpp)
target_include_directories(words PUBLIC src ${CMAKE_CURRENT_BINARY_DIR})
add_executable(tool src/main.c)
target_link_libraries(tool PRIVATE words Threads::Threads)
add_test(NAME tool COMMAND tool)
install(TARGETS tool words)
END
    echo '#define VERSION "@PROJECT_VERSION@"' >src/version.h.in
    echo '#include <string>
extern "C" unsigned long words(const char *text) { return std::string(text).size(); }' >src/words.cpp
    cat >src/main.c <<'END'
#include <stdio.h>
#include "version.h"
unsigned long words(const char *text);
int main(void) { printf("%s %lu\n", VERSION, words("four")); return words("four") != 4; }
END
    echo out >.gitignore
}
build() {
    cmake -S . -B out -DCMAKE_BUILD_TYPE=Release
    cmake --build out --parallel 2
    ctest --test-dir out --output-on-failure
    cmake --install out --prefix out/installed
}
