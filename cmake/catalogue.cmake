# The catalogue's data files, as string literals in the program.
set(catalogue_file ${CMAKE_SOURCE_DIR}/data/catalogue/postgresql.json)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${catalogue_file})
file(READ ${catalogue_file} catalogue_text)
file(CONFIGURE OUTPUT ${generated}/model/postgresql_catalogue.inc CONTENT "R\"catalogue(${catalogue_text})catalogue\"\n" @ONLY)
set(tiers_file ${CMAKE_SOURCE_DIR}/data/tiers.json)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${tiers_file})
file(READ ${tiers_file} tiers_text)
file(CONFIGURE OUTPUT ${generated}/model/tiers.inc CONTENT "R\"tiers(${tiers_text})tiers\"\n" @ONLY)
