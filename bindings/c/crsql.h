/* crsql for C: SQLite tables that are conflict-free replicated.
**
** Two ways to have crsql on a connection, each with all of its SQL functions and tables:
**
** - Loaded: crsql_load(db, path, &error) loads the library file into one connection.
** - Linked in: link libcrsql.a, and call crsql_register() once, before any sqlite3_open. Every
**   connection that the process opens from then on has crsql.
*/
#ifndef CRSQL_H
#define CRSQL_H

#include <sqlite3.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The entry points, in libcrsql.a and in the library file. SQLite calls them: the first where it
** loads the file, the second where crsql is linked in. */
int sqlite3_crsql_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *api);
int sqlite3_crsql_auto(sqlite3 *db, char **error, const struct sqlite3_api_routines *api);

/* Registers the linked crsql for every connection that is opened afterwards. Gives SQLITE_OK, or
** why not. Without this call nothing refers to libcrsql.a. */
static inline int crsql_register(void) {
    return sqlite3_auto_extension((void (*)(void))sqlite3_crsql_auto);
}

/* The library's file: what the environment variable CRSQL_LIBRARY names, else "crsql", which SQLite
** completes with the system's suffix and the system's loader looks for. */
static inline const char *crsql_library(void) {
    const char *named = getenv("CRSQL_LIBRARY");
    return named != NULL && named[0] != 0 ? named : "crsql";
}

/* Loads the library file at path, or crsql_library() where path is NULL, into one connection.
** Extension loading by C is on for this call and then as before, by SQL it stays as it is.
** Gives SQLITE_OK, or a result code and a sentence in *error, for sqlite3_free, where error is
** not NULL. */
static inline int crsql_load(sqlite3 *db, const char *path, char **error) {
    int before = 0;
    int code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, -1, &before);
    if (error != NULL) *error = NULL;
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    }
    if (code != SQLITE_OK) {
        if (error != NULL) {
            *error = sqlite3_mprintf("this SQLite is built without extension loading; link "
                                     "libcrsql.a and a SQLite that has it");
        }
        return code;
    }
    code = sqlite3_load_extension(db, path != NULL ? path : crsql_library(),
                                  "sqlite3_crsql_init", error);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, before, NULL);
    return code;
}

#ifdef __cplusplus
}
#endif

#endif
