//! One Rust source as the house rules see it: the text, and the same text with every comment,
//! string and character literal blanked out, line by line and column by column. No parser: it
//! knows as much of the language as finding names and braces needs.

/// Whether a character can be part of a name.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A function and the lines from its `fn` to its closing brace.
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

pub struct Source {
    pub path: String,
    pub text: String,
    /// The text with comments and literals blanked out.
    code: Vec<char>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into(), code: blanked(text) }
    }

    /// A complaint about one line.
    pub fn says(&self, line: usize, complaint: &str) -> String {
        format!("{}:{line}: {complaint}", self.path)
    }

    fn line_of(&self, at: usize) -> usize {
        1 + self.code[..at].iter().filter(|c| **c == '\n').count()
    }

    /// The places where `name` stands as a whole word.
    fn places(&self, name: &str) -> Vec<usize> {
        let name: Vec<char> = name.chars().collect();
        let whole = |at: usize| {
            let before = at.checked_sub(1).map(|b| self.code[b]);
            let after = self.code.get(at + name.len()).copied();
            let open = name.last().is_some_and(|c| is_word(*c)) && after.is_some_and(is_word);
            !before.is_some_and(is_word) && !open
        };
        let found = self.code.windows(name.len()).enumerate();
        found.filter(|(at, w)| *w == name && whole(*at)).map(|(at, _)| at).collect()
    }

    /// The lines of the code that hold `name`.
    pub fn lines_with(&self, name: &str) -> Vec<usize> {
        self.places(name).into_iter().map(|at| self.line_of(at)).collect()
    }

    /// Where `word` stands: its line, and the code that follows it, blanks skipped.
    pub fn after_word(&self, word: &str) -> Vec<(usize, String)> {
        let places = self.places(word).into_iter();
        let rest = |at: usize| {
            let after = self.code[at + word.len()..].iter();
            after.skip_while(|c| c.is_whitespace()).take(80).collect()
        };
        places.map(|at| (self.line_of(at), rest(at))).collect()
    }

    /// The first names of the paths that start at the crate, each with its line. A path through
    /// `super` counts where it leads to a floor.
    pub fn crate_paths(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for at in self.places("crate::") {
            let line = self.line_of(at);
            let rest = &self.code[at + "crate::".len()..];
            found.extend(first_names(rest).into_iter().map(|name| (line, name)));
        }
        for at in self.places("super::") {
            let line = self.line_of(at);
            let names = first_names(&self.code[at + "super::".len()..]);
            let floors = ["words", "ground", "rooms", "doors"];
            let floors = names.into_iter().filter(|name| floors.contains(&name.as_str()));
            found.extend(floors.map(|name| (line, name)));
        }
        found
    }

    /// Every function with a body.
    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for at in self.places("fn") {
            let after = self.code[at + 2..].iter().skip_while(|c| c.is_whitespace());
            let name: String = after.take_while(|c| is_word(**c) || **c == '$').collect();
            let Some(body) = self.body(at + 2).filter(|_| !name.is_empty()) else { continue };
            let mut depth = 0_usize;
            let end = self.code[body..].iter().position(|c| {
                depth = match c {
                    '{' => depth + 1,
                    '}' => depth.saturating_sub(1),
                    _ => depth,
                };
                depth == 0
            });
            let line = self.line_of(at);
            let last = self.line_of(end.map_or(self.code.len(), |end| body + end));
            found.push(Function { name, line, lines: last - line + 1 });
        }
        found
    }

    /// The opening brace after a function's head; none where a `;` ends it.
    fn body(&self, head: usize) -> Option<usize> {
        let mut depth = 0_i32;
        for (at, c) in self.code.iter().enumerate().skip(head) {
            match c {
                '(' | '[' => depth += 1,
                ')' | ']' => depth -= 1,
                '{' if depth == 0 => return Some(at),
                ';' if depth == 0 => return None,
                _ => {}
            }
        }
        None
    }

    /// Whether a comment with `mark` stands on the line, in the three lines above it, or in the
    /// unbroken comment right above it.
    pub fn commented(&self, line: usize, mark: &str) -> bool {
        let lines: Vec<&str> = self.text.lines().collect();
        let marked = |text: &str| text.split_once("//").is_some_and(|(_, c)| c.contains(mark));
        let near = lines[line.saturating_sub(4)..line].iter().any(|text| marked(text));
        let above = lines[..line - 1].iter().rev();
        let mut comment = above.take_while(|text| text.trim_start().starts_with("//"));
        near || comment.any(|text| marked(text))
    }

    /// Whether the function on this line is a test: `#[test]` among the attributes above it.
    pub fn is_test(&self, line: usize) -> bool {
        let above = self.text.lines().take(line - 1).collect::<Vec<_>>();
        let attributes = above.iter().rev().map(|text| text.trim_start());
        let mut attributes = attributes.take_while(|t| t.starts_with("#[") || t.starts_with("//"));
        attributes.any(|text| text.starts_with("#[test]"))
    }
}

/// The first names of a path's rest: one, or one of each branch of a `{a::x, b::{y, z}}`.
fn first_names(rest: &[char]) -> Vec<String> {
    let name = |from: &[char]| -> String {
        from.iter().skip_while(|c| c.is_whitespace()).take_while(|c| is_word(**c)).collect()
    };
    if rest.first() != Some(&'{') {
        return vec![name(rest)];
    }
    let mut names = Vec::new();
    let mut depth = 0;
    for (at, c) in rest.iter().enumerate() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (*c == '{' || *c == ',') {
            names.push(name(&rest[at + 1..]));
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The text with comments, strings and character literals turned into blanks.
fn blanked(text: &str) -> Vec<char> {
    let source: Vec<char> = text.chars().collect();
    let mut code = source.clone();
    let mut at = 0;
    while at < source.len() {
        let end = skipped(&source, at);
        for c in &mut code[at..end] {
            if *c != '\n' {
                *c = ' ';
            }
        }
        at = end.max(at + 1);
    }
    code
}

/// The end of the comment or literal that begins here; `at` itself where none does.
fn skipped(source: &[char], at: usize) -> usize {
    let here = |text: &str| {
        let text = text.chars().enumerate();
        text.into_iter().all(|(i, c)| source.get(at + i) == Some(&c))
    };
    let in_name = at > 0 && is_word(source[at - 1]);
    match source[at] {
        '/' if here("//") => position(source, at, |c| c == '\n'),
        '/' if here("/*") => block_comment(source, at),
        '"' => quoted(source, at + 1, '"'),
        '\'' if is_char_literal(source, at) => quoted(source, at + 1, '\''),
        'r' if !in_name || "bc".contains(source[at - 1]) => raw_string(source, at).unwrap_or(at),
        _ => at,
    }
}

fn position(source: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    let found = source[from..].iter().position(|c| wanted(*c));
    found.map_or(source.len(), |i| from + i)
}

fn block_comment(source: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at + 1 < source.len() {
        match (source[at], source[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    source.len()
}

/// The end of a quoted literal, a backslash guarding the character after it.
fn quoted(source: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < source.len() && source[at] != quote {
        at += if source[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(source.len())
}

/// `'x'` and `'\n'` are literals, `'a` is a lifetime.
fn is_char_literal(source: &[char], at: usize) -> bool {
    source.get(at + 1) == Some(&'\\') || source.get(at + 2) == Some(&'\'')
}

/// The end of `r"..."` or `r#"..."#`; none where it is a name.
fn raw_string(source: &[char], at: usize) -> Option<usize> {
    let open = position(source, at + 1, |c| c != '#');
    let hashes = open - at - 1;
    if source.get(open) != Some(&'"') {
        return None;
    }
    let closes = |end: &usize| {
        let tail = source.get(end + 1..end + 1 + hashes);
        source[*end] == '"' && tail.is_some_and(|tail| tail.iter().all(|c| *c == '#'))
    };
    let end = (open + 1..source.len()).find(closes);
    Some(end.map_or(source.len(), |end| end + 1 + hashes))
}
