# cmake -DSOURCE=reports/page -DOUTPUT=dir -DSCRIPTS=a.js;b.js [-DNPM=path -DNODE=path] -P ReportPage.cmake
# Gathers what the interactive report inlines into OUTPUT: style.css, page.js (the scripts, one after the
# other), libraries.js (from npm, at the locked versions) and missing.txt. Without npm, or where it
# fails, libraries.js is empty and missing.txt says why; that never fails a build.
set(libraries vega vega-lite vega-interpreter)
file(MAKE_DIRECTORY "${OUTPUT}")
file(COPY "${SOURCE}/style.css" DESTINATION "${OUTPUT}")
set(script "")
foreach(file IN LISTS SCRIPTS)
  file(READ "${SOURCE}/${file}" text)
  string(APPEND script "${text}")
endforeach()
file(WRITE "${OUTPUT}/page.js" "${script}")

function(give_up reason)
  file(WRITE "${OUTPUT}/libraries.js" "")
  file(WRITE "${OUTPUT}/missing.txt" "${reason}")
  message(STATUS "The interactive report is left out: ${reason}")
endfunction()

if(NOT NPM OR NOT NODE)
  give_up("node or npm was not found when tierscope was built: install nodejs (18 or later) and npm, configure and build again")
  return()
endif()
execute_process(COMMAND "${NODE}" --version OUTPUT_VARIABLE version RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
if(failed OR NOT version MATCHES "^v([0-9]+)" OR CMAKE_MATCH_1 LESS 18)
  give_up("tierscope was built with node '${version}': install Node 18 or later and build again")
  return()
endif()

set(folder "${OUTPUT}/npm")
file(COPY "${SOURCE}/package.json" "${SOURCE}/package-lock.json" DESTINATION "${folder}")
execute_process(COMMAND "${NPM}" ci --ignore-scripts --no-audit --no-fund --prefer-offline
  WORKING_DIRECTORY "${folder}" RESULT_VARIABLE failed OUTPUT_VARIABLE log ERROR_VARIABLE log TIMEOUT 300)
if(failed)
  file(WRITE "${OUTPUT}/npm.log" "${log}")
  give_up("npm ci failed when tierscope was built (${OUTPUT}/npm.log): needs the npm registry once; remove ${OUTPUT}/missing.txt and build again")
  return()
endif()

# The files as published, behind their licences. "</script" would end the element they stand in.
file(READ "${SOURCE}/third_party.txt" notices)
file(GLOB licences LIST_DIRECTORIES false "${folder}/node_modules/vega-lite/LICENSE*"
  "${folder}/node_modules/d3-*/LICENSE*" "${folder}/node_modules/topojson-client/LICENSE*"
  "${folder}/node_modules/internmap/LICENSE*" "${folder}/node_modules/delaunator/LICENSE*"
  "${folder}/node_modules/robust-predicates/LICENSE*")
foreach(licence IN LISTS licences)
  cmake_path(GET licence PARENT_PATH package)
  cmake_path(GET package FILENAME package)
  file(READ "${licence}" text)
  string(APPEND notices "\n${package}\n${text}")
endforeach()
string(REPLACE "*/" "* /" notices "${notices}")
set(text "/*!\n${notices}*/\n")
foreach(library IN LISTS libraries)
  file(READ "${folder}/node_modules/${library}/package.json" package)
  string(JSON version GET "${package}" version)
  file(READ "${folder}/node_modules/${library}/build/${library}.min.js" code)
  string(APPEND text "/*! ${library} ${version} */\n${code}\n")
endforeach()
string(REPLACE "</script" "<\\/script" text "${text}")
string(REPLACE "<!--" "<\\!--" text "${text}")
file(WRITE "${OUTPUT}/libraries.js" "${text}")
file(WRITE "${OUTPUT}/missing.txt" "")
