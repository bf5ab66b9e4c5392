/* What goes wrong when crsql is loaded says so in a sentence, and changes nothing. */
#include "crsql.h"

#include <stdio.h>
#include <string.h>

/* Whether the connection refuses to load extensions by C. */
static int is_off(sqlite3 *db) {
    int on = -1;
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, -1, &on);
    return on == 0;
}

static int check(int good, const char *what) {
    if (!good) fprintf(stderr, "errors: %s\n", what);
    return !good;
}

int main(int argc, char **argv) {
    sqlite3 *db = NULL;
    char *error = NULL;
    int bad = check(argc == 2, "usage: errors LIBRARY");
    if (bad || sqlite3_open(":memory:", &db) != SQLITE_OK) return 1;

    /* Some builds of SQLite begin with it on. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    int code = crsql_load(db, "/there/is/no/such/file", &error);
    bad |= check(code == SQLITE_ERROR && error != NULL && strstr(error, "no/such/file") != NULL,
                 "a file that is not there");
    sqlite3_free(error);
    bad |= check(crsql_load(db, __FILE__, NULL) == SQLITE_ERROR, "nobody asks for the sentence");
    bad |= check(is_off(db), "loading stays on after an error");

    code = crsql_load(db, argv[1], &error);
    bad |= check(code == SQLITE_OK && error == NULL, "the library is not loaded");
    bad |= check(is_off(db), "loading stays on");
    bad |= check(crsql_load(db, argv[1], NULL) == SQLITE_OK, "a second time");

    code = sqlite3_exec(db, "SELECT crsql_as_crr('nobody')", NULL, NULL, &error);
    bad |= check(code == SQLITE_ERROR && strcmp(error, "there is no table nobody in the main "
                                                       "database; create it first") == 0,
                 "crsql's sentence");
    sqlite3_free(error);
    code = sqlite3_exec(db, "SELECT load_extension('x')", NULL, NULL, &error);
    bad |= check(code != SQLITE_OK && strcmp(error, "not authorized") == 0, "loading by SQL");
    sqlite3_free(error);

    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    crsql_load(db, argv[1], NULL);
    bad |= check(!is_off(db), "what was on before is off");
    sqlite3_close(db);
    return bad;
}
