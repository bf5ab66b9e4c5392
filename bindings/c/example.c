/* Two databases that exchange what each has written: a vector one way, a changeset the other.
**
**   cc -DCRSQL_LINKED example.c $(pkg-config --cflags --libs crsql)     crsql linked in
**   cc example.c $(pkg-config --cflags --libs sqlite3)                  crsql loaded from its file
*/
#include "crsql.h"

#include <stdio.h>

/* Runs SQL that gives nothing that we want to know. */
static int run(sqlite3 *db, const char *sql) {
    char *error = NULL;
    int code = sqlite3_exec(db, sql, NULL, NULL, &error);
    if (code != SQLITE_OK) fprintf(stderr, "%s\n  by: %s\n", error, sql);
    sqlite3_free(error);
    return code;
}

/* Opens a database in memory in which the table note is replicated. */
static sqlite3 *open_replica(void) {
    sqlite3 *db = NULL;
    int code = sqlite3_open(":memory:", &db);
    if (code != SQLITE_OK) fprintf(stderr, "%s\n", sqlite3_errmsg(db));
#ifndef CRSQL_LINKED
    char *error = NULL;
    if (code == SQLITE_OK) code = crsql_load(db, NULL, &error);
    if (error != NULL) fprintf(stderr, "%s; CRSQL_LIBRARY names its file\n", error);
    sqlite3_free(error);
#endif
    if (code == SQLITE_OK) {
        code = run(db, "CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, body TEXT);"
                       "SELECT crsql_as_crr('note')");
    }
    if (code == SQLITE_OK) return db;
    sqlite3_close(db);
    return NULL;
}

/* Prepares a statement of one row, with a value of another statement's as its argument, and steps
** to that row. Gives NULL after an error; sqlite3_finalize takes NULL too. */
static sqlite3_stmt *ask(sqlite3 *db, const char *sql, sqlite3_stmt *argument) {
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK && argument != NULL) {
        code = sqlite3_bind_value(stmt, 1, sqlite3_column_value(argument, 0));
    }
    if (code == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) return stmt;
    fprintf(stderr, "%s\n", sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
    return NULL;
}

/* Brings to `to` once what `from` has and it lacks. Gives 1 when there may be more, 0 when there is
** not, -1 after an error. What is said of the report is in its JSON, by its key "new". */
static int pull(sqlite3 *to, sqlite3 *from) {
    int more = -1;
    sqlite3_stmt *blob = NULL, *report = NULL;
    sqlite3_stmt *vector = ask(to, "SELECT crsql_vector()", NULL);
    if (vector == NULL) goto end;
    blob = ask(from, "SELECT crsql_changeset(?, 16777216)", vector);
    if (blob == NULL) goto end;
    if (sqlite3_column_type(blob, 0) == SQLITE_NULL) {
        more = 0;
        goto end;
    }
    report = ask(to, "SELECT json_extract(crsql_apply(?), '$.new')", blob);
    if (report != NULL) more = sqlite3_column_int(report, 0);
end:
    sqlite3_finalize(vector);
    sqlite3_finalize(blob);
    sqlite3_finalize(report);
    return more;
}

static int pull_all(sqlite3 *to, sqlite3 *from) {
    int more;
    do more = pull(to, from);
    while (more == 1);
    return more;
}

static int print(sqlite3 *db, const char *name) {
    sqlite3_stmt *stmt = ask(db, "SELECT group_concat(body, ', ') FROM "
                           "(SELECT body FROM note ORDER BY id)", NULL);
    if (stmt == NULL) return -1;
    printf("%s: %s\n", name, (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return 0;
}

int main(void) {
#ifdef CRSQL_LINKED
    if (crsql_register() != SQLITE_OK) return 1;
#endif
    sqlite3 *ann = open_replica();
    sqlite3 *ben = open_replica();
    int failed = ann == NULL || ben == NULL
        || run(ann, "INSERT INTO note VALUES ('n1', 'milk')") != SQLITE_OK
        || run(ben, "INSERT INTO note VALUES ('n2', 'bread')") != SQLITE_OK
        || pull_all(ann, ben) != 0 || pull_all(ben, ann) != 0
        || print(ann, "ann") != 0 || print(ben, "ben") != 0;
    sqlite3_close(ann);
    sqlite3_close(ben);
    return failed;
}
