//! Runs the scripts of `tests/sql/` with one version of SQLite, linked in, and compares what they
//! print with their `.out` files: a small stand-in for the `sqlite3` shell, which that version's
//! sources come without. `tests/matrix/run.sh` builds it once per version.
//!
//! `runner VERSION LIBRARY SCRIPTS FOLDER`: the scripts run under every setting below, in database
//! files in FOLDER. With `refused` for SCRIPTS, loading the library must be refused with a
//! sentence that names both versions.

use libsqlite3_sys as ffi;
use std::ffi::{c_char, c_int, CStr, CString};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::{env, fs, process};

/// What a host may set before anybody writes: a name and statements for every connection.
fn settings() -> Vec<(String, String)> {
    let mut all = vec![(String::from("as it comes"), String::new())];
    for size in [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536] {
        all.push((format!("page_size {size}"), format!("PRAGMA page_size = {size};")));
        let wal = format!("PRAGMA page_size = {size}; PRAGMA journal_mode = WAL;");
        all.push((format!("page_size {size}, wal"), wal));
    }
    for mode in ["truncate", "persist", "memory", "off"] {
        all.push((format!("journal_mode {mode}"), format!("PRAGMA journal_mode = {mode};")));
    }
    for pragma in ["trusted_schema = OFF", "recursive_triggers = ON", "foreign_keys = ON"] {
        all.push((pragma.to_string(), format!("PRAGMA {pragma};")));
    }
    for pragma in ["locking_mode = EXCLUSIVE", "temp_store = MEMORY", "secure_delete = ON"] {
        all.push((pragma.to_string(), format!("PRAGMA {pragma};")));
    }
    all.push(("defensive".into(), "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON;".into()));
    // Waiting for the disk is part of the matter in three of them; the others are done sooner.
    let waits =
        |name: &str| ["as it comes", "page_size 4096", "page_size 4096, wal"].contains(&name);
    for (_, pragmas) in all.iter_mut().filter(|(name, _)| !waits(name)) {
        *pragmas += "PRAGMA synchronous = OFF;";
    }
    all
}

/// Scripts that a setting cannot serve, each for its reason.
fn fits(script: &str, setting: &str, pragmas: &str) -> bool {
    match script {
        // It sets the encoding of a new file, which WAL has given its first page already.
        "refuse" => !pragmas.contains("WAL"),
        // They take things back, which nobody can without a journal.
        "automigrate" | "smoke" | "writes" => setting != "journal_mode off",
        _ => true,
    }
}

/// A connection.
struct Db(*mut ffi::sqlite3);

impl Drop for Db {
    fn drop(&mut self) {
        // SAFETY: the connection was opened here, and no statement of ours is left open.
        let code = unsafe { ffi::sqlite3_close(self.0) };
        assert_eq!(code, 0, "sqlite3_close with statements finalized");
    }
}

fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL in a script")
}

/// A C string of SQLite's; empty where there is none.
fn text(at: *const c_char) -> String {
    if at.is_null() {
        return String::new();
    }
    // SAFETY: SQLite's texts end with a NUL.
    unsafe { CStr::from_ptr(at) }.to_string_lossy().into_owned()
}

impl Db {
    fn open(path: &Path) -> Self {
        let mut db = null_mut();
        let path = c(&path.display().to_string());
        // SAFETY: a path that ends with a NUL, and a place for the handle.
        let code = unsafe { ffi::sqlite3_open(path.as_ptr(), &mut db) };
        assert_eq!(code, 0, "{path:?} cannot be opened");
        Db(db)
    }

    fn message(&self) -> String {
        // SAFETY: the connection is open.
        text(unsafe { ffi::sqlite3_errmsg(self.0) })
    }

    /// `better-sqlite3`, `node:sqlite` and Deno open like this.
    fn defend(&self) {
        const DEFENSIVE: c_int = 1010;
        const DQS_DDL: c_int = 1014;
        for option in [DEFENSIVE, DQS_DDL] {
            let on = c_int::from(option == DEFENSIVE);
            // SAFETY: these options take an int, and a place for the answer that may be null.
            let code = unsafe { ffi::sqlite3_db_config(self.0, option, on, null_mut::<c_int>()) };
            assert_eq!(code, 0, "option {option}");
        }
    }

    fn load(&self, library: &str) -> Result<(), String> {
        let mut why = null_mut();
        // SAFETY: the connection is open; the library is ours.
        let code = unsafe {
            ffi::sqlite3_enable_load_extension(self.0, 1);
            let library = c(library);
            ffi::sqlite3_load_extension(self.0, library.as_ptr(), null(), &mut why)
        };
        if code == 0 {
            Ok(())
        } else {
            Err(text(why))
        }
    }

    /// The shell's functions that the scripts use.
    fn extend(&self) {
        let functions: [(_, _, Function); 2] =
            [(c"readfile", 1, read_file), (c"writefile", 2, write_file)];
        for (name, arguments, f) in functions {
            // SAFETY: the connection is open; the functions need no data of their own.
            let code = unsafe {
                ffi::sqlite3_create_function_v2(
                    self.0,
                    name.as_ptr(),
                    arguments,
                    ffi::SQLITE_UTF8,
                    null_mut(),
                    Some(f),
                    None,
                    None,
                    None,
                )
            };
            assert_eq!(code, 0, "{name:?}");
        }
    }

    /// Runs statements up to the first error, as the shell does; rows go to `out`.
    fn run(&self, sql: &str, headers: bool, out: &mut String) -> Result<(), String> {
        let sql = c(sql);
        let mut rest = sql.as_ptr();
        loop {
            let mut stmt = null_mut();
            // SAFETY: `rest` points into `sql`, which lives on.
            let code = unsafe { ffi::sqlite3_prepare_v2(self.0, rest, -1, &mut stmt, &mut rest) };
            if code != 0 {
                return Err(self.failed(code));
            }
            if stmt.is_null() {
                // SAFETY: as above; the end of the text is its NUL.
                if unsafe { *rest } == 0 {
                    return Ok(());
                }
                continue;
            }
            // SAFETY: the statement was just prepared.
            let stepped = unsafe { self.step_all(stmt, headers, out) };
            // SAFETY: as above; it is not used any more.
            unsafe { ffi::sqlite3_finalize(stmt) };
            stepped?;
        }
    }

    fn failed(&self, code: c_int) -> String {
        let code = code & 0xff;
        if code == 1 {
            self.message()
        } else {
            format!("{} ({code})", self.message())
        }
    }

    /// # Safety
    /// `stmt` is a statement of this connection.
    unsafe fn step_all(
        &self,
        stmt: *mut ffi::sqlite3_stmt,
        headers: bool,
        out: &mut String,
    ) -> Result<(), String> {
        let columns = ffi::sqlite3_column_count(stmt);
        let mut first = headers;
        loop {
            let code = ffi::sqlite3_step(stmt);
            if code != ffi::SQLITE_ROW {
                return if code == ffi::SQLITE_DONE { Ok(()) } else { Err(self.failed(code)) };
            }
            if first {
                let names = (0..columns).map(|i| text(ffi::sqlite3_column_name(stmt, i)));
                let _ = writeln!(out, "{}", names.collect::<Vec<_>>().join("|"));
                first = false;
            }
            let cells = (0..columns).map(|i| text(ffi::sqlite3_column_text(stmt, i).cast()));
            let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("|"));
        }
    }
}

type Function =
    unsafe extern "C" fn(*mut ffi::sqlite3_context, c_int, *mut *mut ffi::sqlite3_value);

/// The bytes of an argument.
///
/// # Safety
/// `value` is an argument of a running function.
unsafe fn bytes(value: *mut ffi::sqlite3_value) -> Vec<u8> {
    let at: *const u8 = ffi::sqlite3_value_blob(value).cast();
    let len = ffi::sqlite3_value_bytes(value) as usize;
    if at.is_null() {
        Vec::new()
    } else {
        std::slice::from_raw_parts(at, len).to_vec()
    }
}

unsafe fn path(value: *mut ffi::sqlite3_value) -> String {
    String::from_utf8(bytes(value)).expect("a path")
}

unsafe extern "C" fn read_file(
    context: *mut ffi::sqlite3_context,
    _: c_int,
    arguments: *mut *mut ffi::sqlite3_value,
) {
    // What is not there is NULL.
    if let Ok(bytes) = fs::read(path(*arguments)) {
        let copy = ffi::SQLITE_TRANSIENT();
        ffi::sqlite3_result_blob(context, bytes.as_ptr().cast(), bytes.len() as c_int, copy);
    }
}

unsafe extern "C" fn write_file(
    context: *mut ffi::sqlite3_context,
    _: c_int,
    arguments: *mut *mut ffi::sqlite3_value,
) {
    let bytes = bytes(*arguments.add(1));
    fs::write(path(*arguments), &bytes).expect("a file to write");
    ffi::sqlite3_result_int64(context, bytes.len() as i64);
}

/// One run of one script.
struct Shell<'a> {
    library: &'a str,
    pragmas: &'a str,
    defensive: bool,
    db: Db,
    headers: bool,
    /// Where the next statement's rows go.
    once: Option<PathBuf>,
    out: String,
    err: String,
}

impl Shell<'_> {
    fn open(&mut self, name: &str) {
        self.db = Db(null_mut());
        self.db = Db::open(Path::new(name));
        self.set();
    }

    fn set(&self) {
        self.db.extend();
        self.db.run(self.pragmas, false, &mut String::new()).expect("the setting");
        if self.defensive {
            self.db.defend();
        }
    }

    fn dot(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            ".print" => {
                // The shell takes an argument out of its quotes.
                let bare = |word: &str| match word.strip_prefix('\'') {
                    Some(inside) => inside.trim_end_matches('\'').to_string(),
                    None => word.to_string(),
                };
                let words: Vec<String> = rest.split_whitespace().map(bare).collect();
                self.out += &format!("{}\n", words.join(" "));
            }
            ".once" => self.once = Some(rest.into()),
            ".headers" => self.headers = rest == "on",
            ".open" => self.open(rest),
            ".load" => self.db.load(self.library).expect("the library loads"),
            ".read" => {
                let text = fs::read_to_string(rest).expect("a file to read");
                self.script(&text);
            }
            _ => panic!("the stand-in shell does not know {line:?}; teach it, or leave it out"),
        }
    }

    fn statements(&mut self, sql: &str, line: usize) {
        let mut out = String::new();
        if let Err(why) = self.db.run(sql, self.headers, &mut out) {
            let _ = writeln!(self.err, "Runtime error near line {line}: {why}");
        }
        match self.once.take() {
            Some(file) => fs::write(file, out).expect("a file to write"),
            None => self.out += &out,
        }
    }

    fn script(&mut self, text: &str) {
        let (mut sql, mut start) = (String::new(), 0);
        for (at, line) in text.lines().enumerate() {
            if sql.is_empty() {
                if line.trim().is_empty() || line.starts_with("--") {
                    continue;
                }
                if line.starts_with('.') {
                    self.dot(line);
                    continue;
                }
                start = at + 1;
            }
            sql += line;
            sql.push('\n');
            let whole = c(&sql);
            // SAFETY: a text that ends with a NUL.
            if line.contains(';') && unsafe { ffi::sqlite3_complete(whole.as_ptr()) } != 0 {
                self.statements(&sql, start);
                sql.clear();
            }
        }
        assert!(sql.trim().is_empty(), "a script ends inside a statement: {sql}");
    }
}

/// What a script prints under a setting.
fn printed(script: &Path, library: &str, dir: &Path, name: &str, pragmas: &str) -> String {
    let here = dir.display().to_string();
    let text = fs::read_to_string(script).expect("the script").replace("$DIR", &here);
    env::set_current_dir(dir).expect("the folder");
    let db = Db::open(Path::new("test.db"));
    let defensive = name == "defensive";
    let (out, err) = (String::new(), String::new());
    let (headers, once) = (false, None);
    let mut shell = Shell { library, pragmas, defensive, db, headers, once, out, err };
    shell.set();
    shell.db.load(library).expect("the library loads");
    shell.script(&text);
    let Shell { mut out, err, .. } = shell;
    if !err.is_empty() {
        let _ = write!(out, "-- stderr\n{err}");
    }
    out.replace(library, "$LIB").replace(&here, "$DIR")
}

fn refused(version: &str, library: &str, dir: &Path) {
    let why = Db::open(&dir.join("old.db")).load(library).expect_err("an old SQLite");
    let told = why.contains(version) && why.contains("3.38");
    assert!(told, "SQLite {version} is told: {why}");
    println!("{version}: refused, as it should be: {why}");
}

fn main() {
    let args: Vec<String> = env::args().collect();
    let [_, version, library, scripts, folder] = args.as_slice() else {
        panic!("runner VERSION LIBRARY SCRIPTS FOLDER")
    };
    // SAFETY: it only gives a text.
    assert_eq!(text(unsafe { ffi::sqlite3_libversion() }), *version, "the linked SQLite");
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder).expect("the folder");
    let folder = folder.canonicalize().expect("the folder");
    if scripts == "refused" {
        return refused(version, library, &folder);
    }
    let mut all: Vec<PathBuf> =
        fs::read_dir(scripts).expect("the scripts").map(|e| e.expect("a script").path()).collect();
    all.retain(|path| path.extension().is_some_and(|e| e == "sql"));
    all.sort();
    let (mut runs, mut wrong) = (0, 0);
    for (name, pragmas) in settings() {
        for script in &all {
            let stem = script.file_stem().expect("a name").to_string_lossy();
            if !fits(&stem, &name, &pragmas) {
                continue;
            }
            let dir = folder.join(format!("{runs}"));
            fs::create_dir_all(&dir).expect("a folder");
            let got = printed(script, library, &dir, &name, &pragmas);
            let wanted = fs::read_to_string(script.with_extension("out")).expect("its .out file");
            runs += 1;
            if got != wanted {
                wrong += 1;
                let (mut w, mut g) = (wanted.lines(), got.lines());
                let differ = (1..).map(|n| (n, w.next(), g.next())).find(|(_, w, g)| w != g);
                println!("{version}, {name}, {stem}: {differ:?}");
            }
            fs::remove_dir_all(&dir).expect("the folder goes");
        }
    }
    println!("{version}: {runs} runs of {} scripts, {wrong} wrong", all.len());
    process::exit(i32::from(wrong > 0));
}
