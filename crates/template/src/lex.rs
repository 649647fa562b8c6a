//! Source text to tokens, with Go's trim markers, comments and error sentences.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Error,
    Eof,
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Identifier,
    Keyword,
    Field,
    Variable,
    Dot,
    Nil,
    Bool,
    Number,
    Char,
    Text1,
    RawText,
    Pipe,
    LeftParen,
    RightParen,
    Declare,
    Assign,
    Punctuation,
}

/// A token, its place and its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) token: Token,
    pub(crate) pos: usize,
    pub(crate) text: String,
}

impl Item {
    /// The item as Go names it in `unexpected …`.
    pub(crate) fn describe(&self) -> String {
        match self.token {
            Token::Eof => "EOF".into(),
            Token::Error => self.text.clone(),
            Token::Keyword | Token::Dot | Token::Nil => format!("<{}>", self.text),
            _ if self.text.chars().count() > 10 => {
                let short: String = self.text.chars().take(10).collect();
                format!("{}...", crate::print::quote(&short))
            }
            _ => crate::print::quote(&self.text),
        }
    }
}

const KEYWORDS: [&str; 10] = ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// Splits the whole source; the last item is `Eof` or `Error`.
pub(crate) fn lex(source: &str) -> Vec<Item> {
    let mut lexer = Lexer { source, at: 0, items: Vec::new(), parens: 0 };
    if let Err(error) = lexer.run() {
        lexer.items.push(error);
    }
    lexer.items
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    items: Vec<Item>,
    parens: usize,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), Item> {
        loop {
            let Some(offset) = self.source[self.at..].find("{{") else {
                self.text(self.at, self.source.len());
                self.at = self.source.len();
                self.emit(Token::Eof, self.at);
                return Ok(());
            };
            let open = self.at + offset;
            let rest = &self.source[open + 2..];
            let trim = rest.starts_with('-') && rest[1..].starts_with(SPACE);
            let end = if trim { self.source[..open].trim_end_matches(SPACE).len().max(self.at) } else { open };
            self.text(self.at, end);
            let after = open + 2 + if trim { 2 } else { 0 };
            if self.source[after..].starts_with("/*") {
                self.comment(after)?;
                continue;
            }
            self.items.push(Item { token: Token::LeftDelimiter, pos: open, text: "{{".into() });
            self.at = after;
            self.parens = 0;
            self.inside()?;
        }
    }

    fn text(&mut self, from: usize, to: usize) {
        if to > from {
            let text = self.source[from..to].to_owned();
            self.items.push(Item { token: Token::Text, pos: from, text });
        }
    }

    fn emit(&mut self, token: Token, from: usize) {
        let text = self.source[from..self.at].to_owned();
        self.items.push(Item { token, pos: from, text });
    }

    fn error(&self, from: usize, message: impl Into<String>) -> Item {
        Item { token: Token::Error, pos: from, text: message.into() }
    }

    fn comment(&mut self, from: usize) -> Result<(), Item> {
        let Some(length) = self.source[from..].find("*/") else {
            return Err(self.error(from, "unclosed comment"));
        };
        let end = from + length + 2;
        match self.right_delimiter(end) {
            Some((after, trim)) => {
                self.at = after;
                self.trim_after(trim);
                Ok(())
            }
            None => Err(self.error(from, "comment ends before closing delimiter")),
        }
    }

    /// Whether `}}` (or its trimming form) stands at `at`: the offset behind it and whether it trims.
    fn right_delimiter(&self, at: usize) -> Option<(usize, bool)> {
        let rest = &self.source[at..];
        if rest.starts_with("}}") {
            return Some((at + 2, false));
        }
        let mut chars = rest.chars();
        let space = chars.next().is_some_and(|c| SPACE.contains(&c));
        (space && rest[1..].starts_with("-}}")).then_some((at + 4, true))
    }

    fn trim_after(&mut self, trim: bool) {
        if trim {
            let rest = &self.source[self.at..];
            self.at += rest.len() - rest.trim_start_matches(SPACE).len();
        }
    }

    fn inside(&mut self) -> Result<(), Item> {
        loop {
            if let Some((after, trim)) = self.right_delimiter(self.at) {
                if self.parens > 0 {
                    return Err(self.error(self.at, "unclosed left paren"));
                }
                let pos = self.at;
                self.at = after;
                self.items.push(Item { token: Token::RightDelimiter, pos, text: "}}".into() });
                self.trim_after(trim);
                return Ok(());
            }
            self.one()?;
        }
    }

    fn peek(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    fn one(&mut self) -> Result<(), Item> {
        let from = self.at;
        let Some(c) = self.peek() else {
            return Err(self.error(from, "unclosed action"));
        };
        self.at += c.len_utf8();
        match c {
            ' ' | '\t' | '\r' | '\n' => {
                while self.peek().is_some_and(|c| SPACE.contains(&c)) {
                    if self.right_delimiter(self.at).is_some_and(|(_, trim)| trim) {
                        break;
                    }
                    self.at += 1;
                }
                // " -}}": the blank belongs to the marker
                if self.source[from..].starts_with(SPACE) && self.right_delimiter(from).is_some() {
                    self.at = from;
                    return Ok(());
                }
                self.emit(Token::Space, from);
            }
            '=' => self.emit(Token::Assign, from),
            ':' => {
                if self.peek() != Some('=') {
                    return Err(self.error(from, "expected :="));
                }
                self.at += 1;
                self.emit(Token::Declare, from);
            }
            '|' => self.emit(Token::Pipe, from),
            '"' => self.quoted(from)?,
            '`' => match self.source[self.at..].find('`') {
                Some(length) => {
                    self.at += length + 1;
                    self.emit(Token::RawText, from);
                }
                None => return Err(self.error(from, "unterminated raw quoted string")),
            },
            '$' => self.variable_or_field(from, Token::Variable)?,
            '\'' => self.char_constant(from)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                if self.at_terminator() {
                    self.emit(Token::Dot, from);
                } else {
                    self.variable_or_field(from, Token::Field)?;
                }
            }
            '+' | '-' | '.' | '0'..='9' => {
                self.at = from;
                self.number(from)?;
            }
            '(' => {
                self.parens += 1;
                self.emit(Token::LeftParen, from);
            }
            ')' => {
                if self.parens == 0 {
                    return Err(self.error(from, "unexpected right paren"));
                }
                self.parens -= 1;
                self.emit(Token::RightParen, from);
            }
            c if is_word(c) => self.identifier(from)?,
            c if c.is_ascii_graphic() => self.emit(Token::Punctuation, from),
            c => return Err(self.error(from, format!("unrecognized character in action: {}", unicode(c)))),
        }
        Ok(())
    }

    fn quoted(&mut self, from: usize) -> Result<(), Item> {
        loop {
            match self.peek() {
                None | Some('\n') => return Err(self.error(from, "unterminated quoted string")),
                Some('\\') => {
                    self.at += 1;
                    match self.peek() {
                        None | Some('\n') => return Err(self.error(from, "unterminated quoted string")),
                        Some(c) => self.at += c.len_utf8(),
                    }
                }
                Some('"') => {
                    self.at += 1;
                    self.emit(Token::Text1, from);
                    return Ok(());
                }
                Some(c) => self.at += c.len_utf8(),
            }
        }
    }

    fn char_constant(&mut self, from: usize) -> Result<(), Item> {
        loop {
            match self.peek() {
                None | Some('\n') => return Err(self.error(from, "unterminated character constant")),
                Some('\\') => {
                    self.at += 1;
                    match self.peek() {
                        None | Some('\n') => return Err(self.error(from, "unterminated character constant")),
                        Some(c) => self.at += c.len_utf8(),
                    }
                }
                Some('\'') => {
                    self.at += 1;
                    self.emit(Token::Char, from);
                    return Ok(());
                }
                Some(c) => self.at += c.len_utf8(),
            }
        }
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None => true,
            Some(c) if SPACE.contains(&c) => true,
            Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.source[self.at..].starts_with("}}"),
        }
    }

    fn variable_or_field(&mut self, from: usize, token: Token) -> Result<(), Item> {
        while self.peek().is_some_and(is_word) {
            self.at += self.peek().map_or(0, char::len_utf8);
        }
        if !self.at_terminator() {
            return Err(self.bad_character(from));
        }
        self.emit(token, from);
        Ok(())
    }

    fn bad_character(&self, from: usize) -> Item {
        let bad = self.peek().unwrap_or('\0');
        self.error(from, format!("bad character {}", unicode(bad)))
    }

    fn identifier(&mut self, from: usize) -> Result<(), Item> {
        while self.peek().is_some_and(is_word) {
            self.at += self.peek().map_or(0, char::len_utf8);
        }
        if !self.at_terminator() {
            return Err(self.bad_character(from));
        }
        let word = &self.source[from..self.at];
        let token = match word {
            "true" | "false" => Token::Bool,
            "nil" => Token::Nil,
            word if KEYWORDS.contains(&word) => Token::Keyword,
            _ => Token::Identifier,
        };
        self.emit(token, from);
        Ok(())
    }

    fn number(&mut self, from: usize) -> Result<(), Item> {
        let rest = &self.source[from..];
        let mut length = usize::from(rest.starts_with(['+', '-']));
        let body = &rest[length..];
        let (prefix, digits): (usize, fn(char) -> bool) = match body.get(..2) {
            Some("0x" | "0X") => (2, |c| c.is_ascii_hexdigit() || c == '_'),
            Some("0o" | "0O") => (2, |c| c.is_digit(8) || c == '_'),
            Some("0b" | "0B") => (2, |c| c.is_digit(2) || c == '_'),
            _ => (0, |c| c.is_ascii_digit() || c == '_'),
        };
        length += prefix;
        let take = |at: usize| rest[at..].chars().take_while(|&c| digits(c)).count();
        length += take(length);
        if rest[length..].starts_with('.') {
            length += 1;
            length += take(length);
        }
        let exponent = if prefix == 0 { ['e', 'E'] } else { ['p', 'P'] };
        if (prefix == 0 || rest[length..].starts_with(exponent)) && rest[length..].starts_with(exponent) {
            length += 1;
            length += usize::from(rest[length..].starts_with(['+', '-']));
            length += rest[length..].chars().take_while(char::is_ascii_digit).count();
        }
        self.at = from + length;
        if self.peek().is_some_and(is_word) {
            self.at += self.peek().map_or(0, char::len_utf8);
            let text = crate::print::quote(&self.source[from..self.at]);
            return Err(self.error(from, format!("bad number syntax: {text}")));
        }
        self.emit(Token::Number, from);
        Ok(())
    }
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Go's `%#U`.
fn unicode(c: char) -> String {
    if c.is_control() { format!("U+{:04X}", c as u32) } else { format!("U+{:04X} '{c}'", c as u32) }
}
