/* Runs bindings/conformance/script.json, which all bindings run: conformance SCRIPT FOLDER.
**
** SQLite's own JSON functions read the script, on a connection of their own. Whatever a step does
** on a replica leaves a result code and, if it failed, SQLite's sentence in `message`.
*/
#include "crsql.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REPLICAS_MAX 8
#define FAILED (-1) /* not SQLite's error, but an answer that is not the script's */
#define ALL_BYTES 67108864

typedef struct {
    char *name;
    char *file;
    sqlite3 *db;
} Replica;

static sqlite3 *json;
static Replica replicas[REPLICAS_MAX];
static int count;
static char message[4096];

static void die(const char *why) {
    fprintf(stderr, "conformance: %s\n", why);
    exit(1);
}

/* Keeps why a step failed, and gives the code. */
static int failed(int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    sqlite3_vsnprintf((int)sizeof message, message, format, args);
    va_end(args);
    return code;
}

static int broken(sqlite3 *db) {
    return failed(sqlite3_errcode(db), "%s", sqlite3_errmsg(db));
}

/* Prepares a statement and binds texts to its parameters, as many as it has. */
static sqlite3_stmt *prepare(sqlite3 *db, const char *sql, ...) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        broken(db);
        return NULL;
    }
    va_list args;
    va_start(args, sql);
    for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); i++) {
        sqlite3_bind_text(stmt, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
    }
    va_end(args);
    return stmt;
}

/* What the script's JSON says: the text of one value by an expression over ?1 and ?2, or NULL. The
** caller frees it. */
static char *say(const char *expression, const char *a, const char *b) {
    char *sql = sqlite3_mprintf("SELECT %s, ?1, ?2", expression);
    sqlite3_stmt *stmt = prepare(json, sql, a, b);
    sqlite3_free(sql);
    if (stmt == NULL || sqlite3_step(stmt) != SQLITE_ROW) die(sqlite3_errmsg(json));
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    char *copy = text != NULL ? sqlite3_mprintf("%s", text) : NULL;
    sqlite3_finalize(stmt);
    return copy;
}

static char *key(const char *step, const char *name) {
    return say("json_extract(?1, '$.' || ?2)", step, name);
}

static Replica *find(const char *name) {
    for (int i = 0; i < count; i++) {
        if (name != NULL && strcmp(replicas[i].name, name) == 0) return &replicas[i];
    }
    die("a step names a replica that its case has not");
    return NULL;
}

static void open_file(Replica *r) {
    if (sqlite3_open(r->file, &r->db) != SQLITE_OK) die(sqlite3_errmsg(r->db));
#ifndef CRSQL_LINKED
    char *error = NULL;
    if (crsql_load(r->db, NULL, &error) != SQLITE_OK) die(error);
#endif
}

static void close_file(Replica *r) {
    if (sqlite3_close(r->db) != SQLITE_OK) die("a connection is still in use");
    r->db = NULL;
}

/* Appends a value to rows in the script's notation. */
static void append(sqlite3_str *rows, sqlite3_value *value) {
    sqlite3_stmt *stmt = prepare(json,
        "SELECT CASE typeof(v) WHEN 'real' THEN json_object('real', v)"
        " WHEN 'blob' THEN json_object('blob', lower(hex(v))) ELSE json_quote(v) END"
        " FROM (SELECT ?1 AS v)", NULL);
    sqlite3_bind_value(stmt, 1, value);
    if (sqlite3_step(stmt) != SQLITE_ROW) die(sqlite3_errmsg(json));
    sqlite3_str_appendall(rows, (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
}

/* Runs one statement to its end; its rows go to *rows as JSON, for sqlite3_free, if it is given. */
static int run(sqlite3 *db, char **rows, sqlite3_stmt *stmt) {
    sqlite3_str *text = sqlite3_str_new(json);
    int code = stmt != NULL ? SQLITE_OK : sqlite3_errcode(db);
    sqlite3_str_appendall(text, "[");
    while (code == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        sqlite3_str_appendall(text, sqlite3_str_length(text) > 1 ? ",[" : "[");
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            if (i > 0) sqlite3_str_appendall(text, ",");
            append(text, sqlite3_column_value(stmt, i));
        }
        sqlite3_str_appendall(text, "]");
    }
    sqlite3_str_appendall(text, "]");
    if (stmt != NULL && sqlite3_finalize(stmt) != SQLITE_OK) code = broken(db);
    char *all = sqlite3_str_finish(text);
    if (rows != NULL && code == SQLITE_OK) *rows = all;
    else sqlite3_free(all);
    return code;
}

/* The text of the one value that a statement on a replica gives; NULL where that is NULL. */
static char *ask(sqlite3 *db, const char *sql) {
    sqlite3_stmt *stmt = prepare(db, sql);
    if (stmt == NULL || sqlite3_step(stmt) != SQLITE_ROW) die(sqlite3_errmsg(db));
    char *copy = sqlite3_mprintf("%s", sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return copy;
}

/* Pulls once. *report is the JSON for sqlite3_free, or NULL when there was nothing to pull. */
static int exchange(Replica *to, Replica *from, int bytes, char **report) {
    *report = NULL;
    char *vector = ask(to->db, "SELECT crsql_vector()");
    sqlite3_stmt *blob = prepare(from->db, "SELECT crsql_changeset(?1, ?2)",
                                 vector, "");
    sqlite3_free(vector);
    if (blob == NULL) return sqlite3_errcode(from->db);
    sqlite3_bind_int(blob, 2, bytes);
    if (sqlite3_step(blob) != SQLITE_ROW) {
        int code = broken(from->db);
        sqlite3_finalize(blob);
        return code;
    }
    int code = SQLITE_OK;
    if (sqlite3_column_type(blob, 0) != SQLITE_NULL) {
        sqlite3_stmt *apply = prepare(to->db, "SELECT crsql_apply(?1)", NULL);
        sqlite3_bind_value(apply, 1, sqlite3_column_value(blob, 0));
        if (sqlite3_step(apply) == SQLITE_ROW) {
            *report = sqlite3_mprintf("%s", sqlite3_column_text(apply, 0));
        } else {
            code = broken(to->db);
        }
        sqlite3_finalize(apply);
    }
    sqlite3_finalize(blob);
    return code;
}

static int pull_all(Replica *to, Replica *from, int bytes) {
    for (;;) {
        char *report;
        int code = exchange(to, from, bytes, &report);
        if (code != SQLITE_OK || report == NULL) return code;
        char *again = key(report, "new");
        int more = strcmp(again, "1") == 0;
        sqlite3_free(again);
        sqlite3_free(report);
        if (!more) return SQLITE_OK;
    }
}

static int pull(const char *step, Replica *to, Replica *from, int bytes) {
    char *report;
    int code = exchange(to, from, bytes, &report);
    if (code != SQLITE_OK) return code;
    char *type = say("json_type(?1, '$.report')", step, NULL);
    char *differs = NULL;
    if (type != NULL && (strcmp(type, "null") == 0) != (report == NULL)) {
        code = failed(FAILED, "the report is %s", report);
    } else if (type != NULL && report != NULL) {
        differs = say("nullif((SELECT count(*) FROM json_each(?1, '$.report') AS w"
                      " WHERE w.value IS NOT json_extract(?2, '$.' || w.key)), 0)", step, report);
        if (differs != NULL) code = failed(FAILED, "the report is %s", report);
    }
    sqlite3_free(type);
    sqlite3_free(differs);
    sqlite3_free(report);
    return code;
}

/* Inserts every change that the vector of `to` lacks; gives their number, or -1. */
static int carry(Replica *to, Replica *from) {
    char *ours = ask(to->db, "SELECT crsql_vector()");
    sqlite3_stmt *read = prepare(from->db, "SELECT * FROM crsql_changes WHERE since = ?1", ours);
    sqlite3_stmt *write = prepare(to->db,
        "INSERT INTO crsql_changes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL);
    sqlite3_free(ours);
    int n = 0;
    while (n >= 0 && sqlite3_step(read) == SQLITE_ROW) {
        for (int i = 0; i < 9; i++) sqlite3_bind_value(write, i + 1, sqlite3_column_value(read, i));
        n = sqlite3_step(write) == SQLITE_DONE ? n + 1 : -1;
        sqlite3_reset(write);
    }
    if (n < 0) broken(to->db);
    sqlite3_finalize(write);
    if (sqlite3_finalize(read) != SQLITE_OK) n = -1;
    return n;
}

static int copy(const char *step, Replica *to, Replica *from) {
    char *theirs = ask(from->db, "SELECT crsql_vector()");
    int code = run(to->db, NULL, prepare(to->db, "BEGIN"));
    int carried = code == SQLITE_OK ? carry(to, from) : -1;
    if (carried >= 0) code = run(to->db, NULL, prepare(to->db, "SELECT crsql_seen(?1)", theirs));
    if (carried >= 0 && code == SQLITE_OK) code = run(to->db, NULL, prepare(to->db, "COMMIT"));
    char *wanted = key(step, "count");
    if (code == SQLITE_OK && carried != atoi(wanted)) {
        code = failed(FAILED, "there are %d changes", carried);
    }
    sqlite3_free(wanted);
    sqlite3_free(theirs);
    return code;
}

static int query(const char *step, Replica *r, const char *sql) {
    char *rows = NULL;
    int code = run(r->db, &rows, prepare(r->db, sql));
    if (code != SQLITE_OK) return code;
    char *differs = say("nullif(json_extract(?1, '$.rows') IS NOT ?2, 0)", step, rows);
    if (differs != NULL) code = failed(FAILED, "the rows are %s", rows);
    sqlite3_free(differs);
    sqlite3_free(rows);
    return code;
}

static int exact(Replica *r, const char *sql) {
    sqlite3_stmt *stmt = prepare(r->db, sql);
    int rows = 0, right = 0;
    while (stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW) {
        char text[32];
        sqlite3_int64 n = sqlite3_column_int64(stmt, 0);
        sqlite3_snprintf((int)sizeof text, text, "%lld", n);
        rows++;
        right += sqlite3_column_type(stmt, 0) == SQLITE_INTEGER && n < (1LL << 53)
            && strcmp(text, (const char *)sqlite3_column_text(stmt, 1)) == 0;
    }
    sqlite3_finalize(stmt);
    return rows > 0 && right == rows ? SQLITE_OK : failed(FAILED, "%d of %d", right, rows);
}

static int equal(const char *step) {
    char *first = say("json_extract(?1, '$.equal[0]')", step, NULL);
    char *digest = ask(find(first)->db, "SELECT crsql_digest()");
    sqlite3_stmt *names = prepare(json, "SELECT value FROM json_each(?1, '$.equal')", step);
    int code = SQLITE_OK;
    while (sqlite3_step(names) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(names, 0);
        char *other = ask(find(name)->db, "SELECT crsql_digest()");
        if (strcmp(digest, other) != 0) code = failed(FAILED, "%s and %s differ", first, name);
        sqlite3_free(other);
    }
    sqlite3_finalize(names);
    sqlite3_free(digest);
    sqlite3_free(first);
    return code;
}

static int sync_both(const char *step) {
    char *a = say("json_extract(?1, '$.sync[0]')", step, NULL);
    char *b = say("json_extract(?1, '$.sync[1]')", step, NULL);
    int code = pull_all(find(b), find(a), 16 << 20);
    if (code == SQLITE_OK) code = pull_all(find(a), find(b), 16 << 20);
    sqlite3_free(a);
    sqlite3_free(b);
    return code;
}

/* Does what the step's key says, whose value as text is `what`. */
static int act(const char *step, const char *does, const char *what, Replica *r) {
    char *number = key(step, "max_bytes");
    int bytes = number != NULL ? atoi(number) : ALL_BYTES;
    sqlite3_free(number);
    if (strcmp(does, "sync") == 0) return sync_both(step);
    if (strcmp(does, "equal") == 0) return equal(step);
    if (r == NULL) die("a step does not say where");
    if (strcmp(does, "exec") == 0) return run(r->db, NULL, prepare(r->db, what));
    if (strcmp(does, "query") == 0) return query(step, r, what);
    if (strcmp(does, "exact") == 0) return exact(r, what);
    if (strcmp(does, "pull") == 0) return pull(step, r, find(what), bytes);
    if (strcmp(does, "pull_all") == 0) return pull_all(r, find(what), bytes);
    if (strcmp(does, "copy") == 0) return copy(step, r, find(what));
    if (strcmp(does, "enable") == 0) {
        return run(r->db, NULL, prepare(r->db, "SELECT crsql_as_crr(?1)", what));
    }
    if (strcmp(does, "apply") == 0) {
        char *hex = say("json_extract(?1, '$.apply.blob')", step, NULL);
        char *sql = sqlite3_mprintf("SELECT crsql_apply(x'%s')", hex);
        int code = run(r->db, NULL, prepare(r->db, sql));
        sqlite3_free(sql);
        sqlite3_free(hex);
        return code;
    }
    if (strcmp(does, "reopen") == 0) {
        close_file(r);
        open_file(r);
        return SQLITE_OK;
    }
    die("the script has a step that this runner does not know");
    return FAILED;
}

/* Does a step on replica `on`, and ends the program unless it goes as the script says. */
static void check(const char *step, const char *on) {
    char *does = say("(SELECT key FROM json_each(?1) WHERE key NOT IN"
                     " ('on', 'rows', 'report', 'max_bytes', 'count', 'error'))", step, NULL);
    if (does == NULL) die("a step does nothing");
    char *what = key(step, does);
    char *error = key(step, "error");
    message[0] = 0;
    int code = act(step, does, what, on != NULL ? find(on) : NULL);
    int good = error == NULL ? code == SQLITE_OK
                             : code > SQLITE_OK && strstr(message, error) != NULL;
    if (!good) {
        fprintf(stderr, "%s\n  result code %d: %s\n", step, code, message);
        die("a step went otherwise");
    }
    sqlite3_free(does);
    sqlite3_free(what);
    sqlite3_free(error);
}

/* Does all steps under a key of a case, each on the replica that it names, or on `on`. */
static void steps(const char *kase, const char *path, const char *on) {
    sqlite3_stmt *stmt = prepare(json, "SELECT value, json_extract(value, '$.on')"
                                       " FROM json_each(?1, ?2)", kase, path);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *named = (const char *)sqlite3_column_text(stmt, 1);
        check((const char *)sqlite3_column_text(stmt, 0), on != NULL ? on : named);
    }
    if (sqlite3_finalize(stmt) != SQLITE_OK) die(sqlite3_errmsg(json));
}

static void run_case(const char *kase, int number, const char *folder) {
    sqlite3_stmt *names = prepare(json, "SELECT value FROM json_each(?1, '$.replicas')", kase);
    for (count = 0; sqlite3_step(names) == SQLITE_ROW; count++) {
        if (count == REPLICAS_MAX) die("a case has too many replicas");
        Replica *r = &replicas[count];
        r->name = sqlite3_mprintf("%s", sqlite3_column_text(names, 0));
        r->file = sqlite3_mprintf("%s/%d-%s.db", folder, number, r->name);
        open_file(r);
    }
    sqlite3_finalize(names);
    for (int i = 0; i < count; i++) steps(kase, "$.setup", replicas[i].name);
    steps(kase, "$.steps", NULL);
    for (int i = 0; i < count; i++) {
        close_file(&replicas[i]);
        sqlite3_free(replicas[i].name);
        sqlite3_free(replicas[i].file);
    }
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) die("the script cannot be opened");
    sqlite3_str *text = sqlite3_str_new(json);
    char part[4096];
    size_t n;
    while ((n = fread(part, 1, sizeof part, file)) > 0) sqlite3_str_append(text, part, (int)n);
    fclose(file);
    return sqlite3_str_finish(text);
}

int main(int argc, char **argv) {
    if (argc != 3) die("usage: conformance SCRIPT FOLDER");
#ifdef CRSQL_LINKED
    if (crsql_register() != SQLITE_OK) die("crsql_register failed");
#endif
    if (sqlite3_open(":memory:", &json) != SQLITE_OK) die("out of memory");
    char *script = read_file(argv[1]);
    sqlite3_stmt *cases = prepare(json, "SELECT value, json_extract(value, '$.name')"
                                        " FROM json_each(?1, '$.cases')", script);
    int number = 0;
    while (sqlite3_step(cases) == SQLITE_ROW) {
        printf("  %s\n", (const char *)sqlite3_column_text(cases, 1));
        fflush(stdout);
        run_case((const char *)sqlite3_column_text(cases, 0), number++, argv[2]);
    }
    sqlite3_finalize(cases);
    sqlite3_free(script);
    sqlite3_close(json);
    if (number == 0) die("the script has no cases");
    printf("SQLite %s: %d cases\n", sqlite3_libversion(), number);
    return 0;
}
