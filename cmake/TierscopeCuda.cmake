# Whether kernels/*.cu is compiled by nvcc. AUTO: where an nvcc of CUDA 12.8 or above is found (the batched
# copy is that young). ON: it must be. OFF: never; the SIMT machine of the tests needs no CUDA.
set(TIERSCOPE_CUDA AUTO CACHE STRING "Compile the CUDA kernels: AUTO, ON or OFF")
set_property(CACHE TIERSCOPE_CUDA PROPERTY STRINGS AUTO ON OFF)
set(TIERSCOPE_CUDA_ARCHITECTURES "80;90a;100" CACHE STRING "Devices to compile the CUDA kernels for")

# Sets TIERSCOPE_CUDA_FOUND, and says what was found. To be followed by enable_language(CUDA).
function(tierscope_find_cuda)
  set(TIERSCOPE_CUDA_FOUND OFF PARENT_SCOPE)
  if(TIERSCOPE_CUDA STREQUAL "OFF")
    message(STATUS "CUDA kernels: off (TIERSCOPE_CUDA)")
    return()
  endif()
  find_program(TIERSCOPE_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_PATH ENV CUDA_HOME
    PATHS /usr/local/cuda PATH_SUFFIXES bin)
  set(problem "")
  if(NOT TIERSCOPE_NVCC)
    set(problem "no nvcc in PATH or /usr/local/cuda/bin")
  else()
    execute_process(COMMAND ${TIERSCOPE_NVCC} --version OUTPUT_VARIABLE said ERROR_VARIABLE said)
    string(REGEX MATCH "release ([0-9]+\\.[0-9]+)" release "${said}")
    set(version "${CMAKE_MATCH_1}")
    if(NOT version OR version VERSION_LESS 12.8)
      set(problem "${TIERSCOPE_NVCC} is of CUDA '${version}', older than 12.8")
    endif()
  endif()
  if(problem AND TIERSCOPE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "CUDA kernels: ${problem}. Install CUDA 12.8 or above, or configure with -DTIERSCOPE_CUDA=OFF")
  elseif(problem)
    message(STATUS "CUDA kernels: not compiled, ${problem}")
    return()
  endif()
  message(STATUS "CUDA kernels: ${TIERSCOPE_NVCC}, CUDA ${version}, for ${TIERSCOPE_CUDA_ARCHITECTURES}")
  set(TIERSCOPE_CUDA_FOUND ON PARENT_SCOPE)
  if(NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${TIERSCOPE_NVCC} CACHE FILEPATH "CUDA compiler")
  endif()
endfunction()

# tierscope_cuda_library(TARGET SOURCES...): warnings are errors, and what ptxas says of each source (registers,
# stack, spills) is kept as <object>.log beside the object.
function(tierscope_cuda_library target)
  add_library(${target} STATIC ${ARGN})
  set_target_properties(${target} PROPERTIES
    CUDA_ARCHITECTURES "${TIERSCOPE_CUDA_ARCHITECTURES}"
    CUDA_COMPILER_LAUNCHER "bash;${CMAKE_CURRENT_FUNCTION_LIST_DIR}/keep_compiler_output.sh")
  # Not CUDA_STANDARD 20: CMake 3.25 does not know that nvcc 12 and 13 have it.
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 -Werror=all-warnings -Xptxas=-v -Xcompiler=-Wall,-Wextra>)
endfunction()
