# Compiler, warnings, sanitizers, ccache and linker: everything about how, nothing about what.
find_program(CCACHE ccache)
if(CCACHE)
  # Precompiled headers need these to be cacheable.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
                    -Woverloaded-virtual -Werror)
# One setting for libraries and programs, so that all share the precompiled header.
add_compile_options(-fPIE)
add_link_options(-pie)
add_compile_definitions(_FILE_OFFSET_BITS=64)

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety -Xclang -fno-pch-timestamp)
  add_link_options(-fuse-ld=mold)
else()
  # g++ 12 reports these inside the standard library and Boost when it inlines them.
  add_compile_options(-fpch-preprocess -Wno-restrict -Wno-stringop-overflow -Wno-maybe-uninitialized
                      -Wno-array-bounds -Wno-dangling-pointer -Wno-stringop-overread)
  add_link_options(-fuse-ld=mold)
endif()

if(BACKSTAY_SANITIZERS)
  add_compile_options(-fsanitize=${BACKSTAY_SANITIZERS} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # What UBSan asks before every access takes a fifth of the build; a null pointer ends under ASan all the same.
  add_compile_options(-fno-sanitize=null,object-size,vptr,function)
  add_link_options(-fsanitize=${BACKSTAY_SANITIZERS})
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
