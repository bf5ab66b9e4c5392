//! SQL text, as far as it can be understood without a parser: tokens, where statements end, which
//! two texts say the same, and the column definitions of a CREATE TABLE. Text that is not SQL
//! comes out as some tokens; whoever runs it hears from SQLite what is wrong with it.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword, a bare name or a number.
    Word,
    /// A name in `"`, `` ` `` or `[ ]`.
    Name,
    /// A string literal.
    Text,
    /// One character of anything else.
    Sign,
}

/// A token and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// As it stands.
    pub text: &'a str,
    /// Its first byte.
    pub at: usize,
}

impl Token<'_> {
    /// Whether it is this keyword.
    pub fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    fn is_sign(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    fn end(&self) -> usize {
        self.at + self.text.len()
    }

    /// The name or string that it spells, without its quotes.
    pub fn plain(&self) -> String {
        let mut chars = self.text.chars();
        let close = match (self.kind, chars.next()) {
            (Kind::Name, Some('[')) => ']',
            (Kind::Name | Kind::Text, Some(quote)) => quote,
            _ => return self.text.to_string(),
        };
        let inner = chars.as_str();
        let inner = inner.strip_suffix(close).unwrap_or(inner);
        if close == ']' {
            return inner.to_string();
        }
        inner.replace(&format!("{close}{close}"), &close.to_string())
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{feff}'
}

/// How many bytes of `rest` are blank or a comment.
fn gap(rest: &str) -> usize {
    if rest.starts_with("--") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if let Some(inside) = rest.strip_prefix("/*") {
        return inside.find("*/").map_or(rest.len(), |end| end + 4);
    }
    rest.len() - rest.trim_start_matches(is_space).len()
}

/// The length of a quoted token: quotes inside are doubled, but for `]`.
fn quoted_len(rest: &str, close: char) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != close {
            continue;
        }
        match chars.peek() {
            Some((_, next)) if *next == close && close != ']' => chars.next(),
            _ => return at + c.len_utf8(),
        };
    }
    rest.len()
}

/// The tokens of a text; blanks and comments are left out.
pub fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        let rest = sql.get(at..).unwrap_or_default();
        let Some(first) = rest.chars().next() else { return out };
        let blank = gap(rest);
        if blank > 0 {
            at += blank;
            continue;
        }
        let (kind, len) = match first {
            '\'' => (Kind::Text, quoted_len(rest, '\'')),
            '"' | '`' => (Kind::Name, quoted_len(rest, first)),
            '[' => (Kind::Name, quoted_len(rest, ']')),
            c if is_word(c) => (Kind::Word, rest.find(|c| !is_word(c)).unwrap_or(rest.len())),
            c => (Kind::Sign, c.len_utf8()),
        };
        let text = rest.get(..len).unwrap_or(rest);
        out.push(Token { kind, text, at });
        at += text.len();
    }
}

/// The text from the first token to the last.
fn span<'a>(sql: &'a str, tokens: &[Token<'_>]) -> &'a str {
    let (first, last) = (tokens.first(), tokens.last());
    first.zip(last).and_then(|(f, l)| sql.get(f.at..l.end())).unwrap_or("")
}

/// Whether a statement that begins so has statements inside: CREATE TRIGGER.
fn makes_trigger(tokens: &[Token<'_>]) -> bool {
    let mut words = tokens.iter().filter(|t| !t.is("temp") && !t.is("temporary"));
    words.next().is_some_and(|t| t.is("create")) && words.next().is_some_and(|t| t.is("trigger"))
}

/// The statements of a text, without their semicolons. A CREATE TRIGGER ends where END follows a
/// semicolon, as SQLite's own `sqlite3_complete` has it.
pub fn statements(sql: &str) -> Vec<&str> {
    let all = tokens(sql);
    let mut out = Vec::new();
    let mut rest = all.as_slice();
    while !rest.is_empty() {
        let trigger = makes_trigger(rest);
        let ends = |i: usize| {
            let ended = |back: usize| i.checked_sub(back).and_then(|i| rest.get(i));
            let inside =
                ended(1).is_some_and(|t| t.is("end")) && ended(2).is_some_and(|t| t.is_sign(";"));
            rest.get(i).is_some_and(|t| t.is_sign(";")) && (!trigger || inside)
        };
        let end = (0..rest.len()).find(|i| ends(*i)).unwrap_or(rest.len());
        let (statement, after) = rest.split_at(end);
        if !statement.is_empty() {
            out.push(span(sql, statement));
        }
        rest = after.get(1..).unwrap_or(&[]);
    }
    out
}

/// What a text says, spelled one way: equal for two texts that differ in blanks, comments, the
/// case of bare words, and quotes around names that need none.
pub fn normal(sql: &str) -> Vec<String> {
    let one = |t: &Token<'_>| match t.kind {
        Kind::Word => t.text.to_ascii_lowercase(),
        Kind::Name => {
            let plain = t.plain();
            let bare = !plain.is_empty() && plain.chars().all(is_word);
            if bare { plain } else { format!("\"{}\"", plain.replace('"', "\"\"")) }
        }
        Kind::Text | Kind::Sign => t.text.to_string(),
    };
    tokens(sql).iter().map(one).collect()
}

/// What a CREATE TABLE has between its parentheses, split at the commas: the definitions of its
/// columns in their order, then its constraints.
pub fn definitions(create: &str) -> Vec<&str> {
    let all = tokens(create);
    let open = all.iter().position(|t| t.is_sign("(")).map_or(all.len(), |i| i + 1);
    let inside = all.get(open..).unwrap_or(&[]);
    let mut depth = 0u32;
    let (mut out, mut start) = (Vec::new(), 0);
    for (i, t) in inside.iter().enumerate() {
        let closes = t.is_sign(")");
        if depth == 0 && (closes || t.is_sign(",")) {
            out.push(span(create, inside.get(start..i).unwrap_or(&[])));
            start = i + 1;
            if closes {
                break;
            }
        }
        depth = if t.is_sign("(") { depth + 1 } else { depth.saturating_sub(u32::from(closes)) };
    }
    out
}

/// The name that a definition begins with.
pub fn first_name(definition: &str) -> String {
    tokens(definition).first().map_or_else(String::new, Token::plain)
}

/// Whether a statement is nothing but calls of these functions with strings for arguments:
/// `SELECT f('a'), f('a', 'b')`.
pub fn only_calls(statement: &str, functions: &[&str]) -> bool {
    let all = tokens(statement);
    let Some((select, mut rest)) = all.split_first() else { return false };
    if !select.is("select") {
        return false;
    }
    loop {
        let Some(after) = one_call(rest, functions) else { return false };
        match after {
            [] => return true,
            [comma, more @ ..] if comma.is_sign(",") => rest = more,
            _ => return false,
        }
    }
}

/// What follows a call, where one stands here.
fn one_call<'t, 'a>(tokens: &'t [Token<'a>], functions: &[&str]) -> Option<&'t [Token<'a>]> {
    let [name, open, rest @ ..] = tokens else { return None };
    let known = functions.iter().any(|f| name.plain().eq_ignore_ascii_case(f));
    if !known || name.kind == Kind::Text || !open.is_sign("(") {
        return None;
    }
    let mut rest = rest;
    loop {
        let [argument, sign, after @ ..] = rest else { return None };
        if !matches!(argument.kind, Kind::Text | Kind::Name) {
            return None;
        }
        if sign.is_sign(")") {
            return Some(after);
        }
        if !sign.is_sign(",") {
            return None;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statements_end_at_their_semicolons() {
        let sql = "\u{feff}CREATE TABLE a(b DEFAULT ';'); ; -- no; not here\n
            /* nor; here */ CREATE TABLE \"x;\"(c [;], d `;`);SELECT 1";
        let found = statements(sql);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "CREATE TABLE a(b DEFAULT ';')");
        assert_eq!(found[1], "CREATE TABLE \"x;\"(c [;], d `;`)");
        assert_eq!(found[2], "SELECT 1");
        assert!(statements(" ; -- nothing").is_empty());
    }

    #[test]
    fn triggers_hold_statements() {
        let trigger = "CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN
            UPDATE t SET a = CASE WHEN a THEN 1 END; DELETE FROM u; END";
        let sql = format!("{trigger}; SELECT 2;");
        assert_eq!(statements(&sql), [trigger, "SELECT 2"]);
    }

    #[test]
    fn texts_that_say_the_same() {
        let same = |a: &str, b: &str| normal(a) == normal(b);
        assert!(same("CREATE INDEX i ON t(a,b)", "create  index \"i\" on [t] ( a , `b` ) -- x"));
        assert!(!same("CREATE INDEX i ON t(a)", "CREATE UNIQUE INDEX i ON t(a)"));
        assert!(!same("a = 'X'", "a = 'x'"));
        assert!(!same("\"a b\"", "a b"));
        assert!(!same("\"\"", ""));
        assert!(same("\"a\"\"b\"", "`a\"b`"));
    }

    #[test]
    fn definitions_are_the_parts_of_a_table() {
        let sql = "CREATE TABLE \"t(\"(id INTEGER PRIMARY KEY, -- the, key\n
            a TEXT DEFAULT (coalesce(1, ')')) CHECK (a IN (1, 2)), [b, c] NUMERIC(1, 2) ,
            g AS (a || 'x') , UNIQUE(a, g)) STRICT, WITHOUT ROWID";
        let found = definitions(sql);
        assert_eq!(found.len(), 5, "{found:?}");
        assert_eq!(found[0], "id INTEGER PRIMARY KEY");
        assert_eq!(found[1], "a TEXT DEFAULT (coalesce(1, ')')) CHECK (a IN (1, 2))");
        assert_eq!(found[2], "[b, c] NUMERIC(1, 2)");
        assert_eq!(found[3], "g AS (a || 'x')");
        let names: Vec<String> = found.iter().take(4).map(|d| first_name(d)).collect();
        assert_eq!(names, ["id", "a", "b, c", "g"]);
        assert!(definitions("CREATE TABLE t").is_empty());
    }

    #[test]
    fn calls_and_nothing_else() {
        let known = |sql: &str| only_calls(sql, &["crsql_as_crr", "crsql_fract_as_ordered"]);
        assert!(known("SELECT crsql_as_crr('foo')"));
        assert!(known("select\n\tCRSQL_AS_CRR ( 'main' , 'it''s' ) -- so"));
        assert!(known("SELECT crsql_as_crr('a'), crsql_fract_as_ordered('a', 'b', 'c')"));
        assert!(known("SELECT \"crsql_as_crr\"(\"foo\")"));
        assert!(!known("SELECT crsql_as_crr(name) FROM x"));
        assert!(!known("SELECT crsql_as_crr('a') FROM x"));
        assert!(!known("SELECT crsql_as_crr()"));
        assert!(!known("SELECT crsql_as_crr('a'"));
        assert!(!known("SELECT crsql_as_table('a')"));
        assert!(!known("SELECT"));
        assert!(!known(""));
    }

    #[test]
    fn names_lose_their_quotes() {
        let plain = |sql: &str| tokens(sql)[0].plain();
        assert_eq!(plain("\"a\"\"b\""), "a\"b");
        assert_eq!(plain("[a\"b]"), "a\"b");
        assert_eq!(plain("`a``b`"), "a`b");
        assert_eq!(plain("'it''s'"), "it's");
        assert_eq!(plain("\"open"), "open");
        assert_eq!(plain("é🐘"), "é🐘");
    }

    proptest! {
        #[test]
        fn any_text_is_tokens(sql in "[-'\"`\\[\\](),;/*a-cé \n]{0,40}") {
            let mut at = 0;
            for t in tokens(&sql) {
                prop_assert!(t.at >= at && !t.text.is_empty());
                prop_assert_eq!(&sql[t.at..t.at + t.text.len()], t.text);
                at = t.at + t.text.len();
            }
            prop_assert!(at <= sql.len());
            let _ = (statements(&sql), normal(&sql), definitions(&sql), only_calls(&sql, &["a"]));
        }

        #[test]
        fn quoting_is_undone(name in "[\"'`a-c ]{0,8}") {
            let quoted = format!("\"{}\"", name.replace('"', "\"\""));
            let found = tokens(&quoted);
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].plain(), name);
        }
    }
}
