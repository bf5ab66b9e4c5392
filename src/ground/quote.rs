//! Names and text as SQL. Every identifier and literal in a statement that we build goes through
//! here.

use crate::words::error::{Error, Result};

/// `name` as an identifier: in double quotes, those inside doubled.
pub fn ident(name: &str) -> String {
    quoted(name, '"')
}

/// `text` as a string literal: in single quotes, those inside doubled. SQL text ends at a NUL, so
/// text with one cannot be a literal.
pub fn literal(text: &str) -> Result<String> {
    if text.contains('\0') {
        return Err(Error::refused(format!("a NUL cannot stand in SQL: {text:?}")));
    }
    Ok(quoted(text, '\''))
}

fn quoted(text: &str, quote: char) -> String {
    let mut sql = String::with_capacity(text.len() + 2);
    sql.push(quote);
    for c in text.chars() {
        if c == quote {
            sql.push(quote);
        }
        sql.push(c);
    }
    sql.push(quote);
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(ident("a\"b'c"), "\"a\"\"b'c\"");
        assert_eq!(literal("a\"b'c").unwrap(), "'a\"b''c'");
        assert_eq!(ident(""), "\"\"");
        assert!(literal("a\0b").is_err());
    }
}
