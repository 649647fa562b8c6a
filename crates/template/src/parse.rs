//! Tokens to nodes, with Go's parse errors (`template: NAME:LINE: …`).

use std::collections::BTreeMap;

use crate::ast::{Branch, Command, Kind, List, Node, Number, Operand, Pipe};
use crate::lex::{Item, Token, lex};
use crate::{Error, print};

/// Nested `(`, `if`, `range` … deeper than this are refused: the parser and the executor recurse.
const MAX_DEPTH: usize = 200;

/// All templates of one source: the main one under its own name.
pub(crate) type Set = BTreeMap<String, List>;

/// Parses `source`; `known` tells whether a function exists.
pub(crate) fn parse(name: &str, source: &str, known: &dyn Fn(&str) -> bool) -> Result<Set, Error> {
    let mut parser = Parser {
        name,
        source,
        items: lex(source),
        at: 0,
        variables: vec!["$".into()],
        loops: 0,
        depth: 0,
        set: Set::new(),
        known,
    };
    let main = parser.top()?;
    let empty = main.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()));
    if !empty || !parser.set.contains_key(name) {
        parser.set.insert(name.to_owned(), main);
    }
    Ok(parser.set)
}

struct Parser<'a> {
    name: &'a str,
    source: &'a str,
    items: Vec<Item>,
    at: usize,
    variables: Vec<String>,
    loops: usize,
    depth: usize,
    set: Set,
    known: &'a dyn Fn(&str) -> bool,
}

/// Why a list of nodes ended.
enum End {
    Source,
    Block,
    Else(usize),
}

impl Parser<'_> {
    fn peek(&self) -> &Item {
        &self.items[self.at.min(self.items.len() - 1)]
    }

    fn next(&mut self) -> Item {
        let item = self.peek().clone();
        self.at = (self.at + 1).min(self.items.len());
        item
    }

    fn skip_space(&mut self) {
        while self.peek().token == Token::Space {
            self.at += 1;
        }
    }

    fn next_solid(&mut self) -> Item {
        self.skip_space();
        self.next()
    }

    fn peek_solid(&mut self) -> Item {
        self.skip_space();
        self.peek().clone()
    }

    fn error<T>(&self, message: impl std::fmt::Display) -> Result<T, Error> {
        let last = self.at.saturating_sub(1).min(self.items.len() - 1);
        self.error_at(self.items[last].pos, message)
    }

    fn error_at<T>(&self, pos: usize, message: impl std::fmt::Display) -> Result<T, Error> {
        let line = 1 + self.source[..pos.min(self.source.len())].matches('\n').count();
        Err(Error::Parse(format!("template: {}:{line}: {message}", self.name)))
    }

    fn unexpected<T>(&self, item: &Item, context: &str) -> Result<T, Error> {
        if item.token == Token::Error {
            return self.error_at(item.pos, &item.text);
        }
        self.error_at(item.pos, format!("unexpected {} in {context}", item.describe()))
    }

    fn expect(&mut self, token: Token, context: &str) -> Result<Item, Error> {
        let item = self.next_solid();
        if item.token == token { Ok(item) } else { self.unexpected(&item, context) }
    }

    fn top(&mut self) -> Result<List, Error> {
        let mut list = List::new();
        match self.list_until_end(&mut list, true)? {
            End::Source => Ok(list),
            End::Block => self.error("unexpected {{end}}"),
            End::Else(_) => self.error("unexpected {{else}}"),
        }
    }

    /// Reads nodes up to `end`, `else` or (at the top only) the end of the source.
    fn list_until_end(&mut self, list: &mut List, top: bool) -> Result<End, Error> {
        loop {
            let item = self.next();
            match item.token {
                Token::Eof if top => return Ok(End::Source),
                Token::Eof => return self.error_at(item.pos, "unexpected EOF"),
                Token::Text => list.push(Node::Text(item.text)),
                Token::LeftDelimiter => {
                    let word = self.peek_solid();
                    if word.token == Token::Keyword && word.text == "define" && top {
                        self.next();
                        self.define()?;
                        continue;
                    }
                    if let Some(end) = self.action(list)? {
                        return Ok(end);
                    }
                }
                _ => return self.unexpected(&item, "input"),
            }
        }
    }

    fn define(&mut self) -> Result<(), Error> {
        let name = self.template_name("define clause")?;
        self.expect(Token::RightDelimiter, "define clause")?;
        let body = self.body(1)?;
        let (list, end) = body;
        if let End::Else(_) = end {
            return self.error("unexpected {{else}} in define clause");
        }
        self.set.insert(name, list);
        Ok(())
    }

    /// A nested list with its own variables.
    fn body(&mut self, _level: usize) -> Result<(List, End), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error("max expression depth exceeded");
        }
        let mut list = List::new();
        let end = self.list_until_end(&mut list, false)?;
        self.depth -= 1;
        Ok((list, end))
    }

    fn template_name(&mut self, context: &str) -> Result<String, Error> {
        let item = self.next_solid();
        match item.token {
            Token::Text1 | Token::RawText => self.unquote(&item),
            _ => self.unexpected(&item, context),
        }
    }

    fn unquote(&self, item: &Item) -> Result<String, Error> {
        match print::unquote(&item.text) {
            Some(value) => Ok(value),
            None => self.error_at(item.pos, "invalid syntax"),
        }
    }

    fn action(&mut self, list: &mut List) -> Result<Option<End>, Error> {
        let item = self.next_solid();
        if item.token != Token::Keyword {
            self.at -= 1;
            let pipe = self.pipeline("command", Token::RightDelimiter)?;
            list.push(Node::Action(pipe));
            return Ok(None);
        }
        match item.text.as_str() {
            "end" => {
                self.expect(Token::RightDelimiter, "end")?;
                return Ok(Some(End::Block));
            }
            "else" => {
                let next = self.peek_solid();
                if next.token == Token::Keyword && matches!(next.text.as_str(), "if" | "with") {
                    return Ok(Some(End::Else(next.pos)));
                }
                self.expect(Token::RightDelimiter, "else")?;
                return Ok(Some(End::Else(usize::MAX)));
            }
            "if" => {
                let branch = self.branch("if")?;
                list.push(Node::If(branch));
            }
            "with" => {
                let branch = self.branch("with")?;
                list.push(Node::With(branch));
            }
            "range" => {
                let branch = self.branch("range")?;
                list.push(Node::Range(branch));
            }
            word @ ("break" | "continue") => {
                let next = self.next_solid();
                if next.token != Token::RightDelimiter {
                    return self.unexpected(&next, &format!("{{{{{word}}}}}"));
                }
                if self.loops == 0 {
                    return self.error(format!("{{{{{word}}}}} outside {{{{range}}}}"));
                }
                list.push(if word == "break" { Node::Break } else { Node::Continue });
            }
            "template" => {
                let pos = self.peek_solid().pos;
                let name = self.template_name("template clause")?;
                let mut pipe = None;
                if self.peek_solid().token == Token::RightDelimiter {
                    self.next();
                } else {
                    pipe = Some(self.pipeline("template clause", Token::RightDelimiter)?);
                }
                list.push(Node::Template { pos, name, pipe });
            }
            "block" => {
                let pos = self.peek_solid().pos;
                let name = self.template_name("block clause")?;
                let pipe = self.pipeline("block clause", Token::RightDelimiter)?;
                let outer = std::mem::replace(&mut self.variables, vec!["$".into()]);
                let loops = std::mem::take(&mut self.loops);
                let (body, end) = self.body(1)?;
                if let End::Else(_) = end {
                    return self.error("unexpected {{else}} in block clause");
                }
                self.variables = outer;
                self.loops = loops;
                self.set.insert(name.clone(), body);
                list.push(Node::Template { pos, name, pipe: Some(pipe) });
            }
            _ => return self.unexpected(&item, "command"),
        }
        Ok(None)
    }

    fn branch(&mut self, word: &str) -> Result<Branch, Error> {
        let scope = self.variables.len();
        let pipe = self.pipeline(word, Token::RightDelimiter)?;
        self.loops += usize::from(word == "range");
        let (then, end) = self.body(1)?;
        self.loops -= usize::from(word == "range");
        let mut otherwise = None;
        if let End::Else(pos) = end {
            let chained = pos != usize::MAX && self.peek().text == word && word != "range";
            if pos != usize::MAX && !chained {
                let item = self.peek().clone();
                return self.unexpected(&item, "else");
            }
            if chained {
                self.next();
                let branch = self.branch(word)?;
                otherwise = Some(vec![if word == "if" { Node::If(branch) } else { Node::With(branch) }]);
            } else {
                let (list, end) = self.body(1)?;
                if let End::Else(_) = end {
                    return self.error("expected end; found {{else}}");
                }
                otherwise = Some(list);
            }
        }
        self.variables.truncate(scope);
        Ok(Branch { pipe, then, otherwise })
    }

    fn pipeline(&mut self, context: &str, end: Token) -> Result<Pipe, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error("max expression depth exceeded");
        }
        let mut pipe = Pipe { pos: self.peek_solid().pos, ..Pipe::default() };
        self.declarations(&mut pipe, context)?;
        loop {
            let item = self.next_solid();
            match item.token {
                token if token == end => {
                    self.check(&pipe, context)?;
                    self.depth -= 1;
                    return Ok(pipe);
                }
                Token::Bool
                | Token::Char
                | Token::Dot
                | Token::Field
                | Token::Identifier
                | Token::Number
                | Token::Nil
                | Token::RawText
                | Token::Text1
                | Token::Variable
                | Token::LeftParen => {
                    self.at -= 1;
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&item, context),
            }
        }
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Result<(), Error> {
        loop {
            let start = self.at;
            let variable = self.peek_solid();
            if variable.token != Token::Variable {
                return Ok(());
            }
            self.next();
            let next = self.peek_solid();
            match next.token {
                Token::Assign | Token::Declare => {
                    pipe.assign = next.token == Token::Assign;
                    self.next();
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    return Ok(());
                }
                Token::Punctuation if next.text == "," => {
                    self.next();
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    if context != "range" || pipe.variables.len() > 1 {
                        return self.error(format!("too many declarations in {context}"));
                    }
                    let next = self.peek_solid();
                    if next.token != Token::Variable {
                        return self.error("range can only initialize variables");
                    }
                }
                _ => {
                    self.at = start;
                    return Ok(());
                }
            }
        }
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Result<(), Error> {
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = &command.args[0];
            if matches!(first.kind, Kind::Bool(_) | Kind::Dot | Kind::Nil | Kind::Number { .. } | Kind::Text { .. }) {
                return self.error(format!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command, Error> {
        let mut command = Command { pos: self.peek_solid().pos, args: Vec::new() };
        loop {
            self.skip_space();
            let operand = self.operand()?;
            command.args.extend(operand);
            let item = self.next();
            match item.token {
                Token::Space => {
                    if matches!(self.peek().token, Token::Pipe) {
                        self.next();
                        break;
                    }
                    continue;
                }
                Token::RightDelimiter | Token::RightParen => {
                    self.at -= 1;
                }
                Token::Pipe => {}
                Token::Error => return self.unexpected(&item, "operand"),
                _ => return self.unexpected(&item, "operand"),
            }
            break;
        }
        if command.args.is_empty() {
            return self.error("empty command");
        }
        Ok(command)
    }

    fn operand(&mut self) -> Result<Option<Operand>, Error> {
        let Some(term) = self.term()? else { return Ok(None) };
        if self.peek().token != Token::Field {
            return Ok(Some(term));
        }
        let pos = self.peek().pos;
        let mut names = Vec::new();
        while self.peek().token == Token::Field {
            let item = self.next();
            names.push(item.text[1..].to_owned());
        }
        let kind = match term.kind {
            // a field or variable simply gets longer; like Go, it then stands where its second part is
            Kind::Field(mut all) => {
                all.extend(names);
                Kind::Field(all)
            }
            Kind::Variable(mut all) => {
                all.extend(names);
                Kind::Variable(all)
            }
            Kind::Bool(_) | Kind::Text { .. } | Kind::Number { .. } | Kind::Nil | Kind::Dot => {
                return self.error(format!("unexpected . after term {}", print::quote(&term.to_string())));
            }
            _ => Kind::Chain(Box::new(term), names),
        };
        Ok(Some(Operand { pos, kind }))
    }

    fn term(&mut self) -> Result<Option<Operand>, Error> {
        let item = self.next_solid();
        let pos = item.pos;
        let kind = match item.token {
            Token::Identifier => {
                if !(self.known)(&item.text) {
                    return self.error(format!("function {} not defined", print::quote(&item.text)));
                }
                Kind::Function(item.text)
            }
            Token::Dot => Kind::Dot,
            Token::Nil => Kind::Nil,
            Token::Variable => {
                if !self.variables.contains(&item.text) {
                    return self.error(format!("undefined variable {}", print::quote(&item.text)));
                }
                Kind::Variable(vec![item.text])
            }
            Token::Field => Kind::Field(vec![item.text[1..].to_owned()]),
            Token::Bool => Kind::Bool(item.text == "true"),
            Token::Char | Token::Number => match number(&item) {
                Some(value) => Kind::Number { text: item.text, value },
                None if item.token == Token::Char => {
                    return self.error(format!("malformed character constant: {}", item.text));
                }
                None => return self.error(format!("illegal number syntax: {}", print::quote(&item.text))),
            },
            Token::LeftParen => Kind::Pipe(self.pipeline("parenthesized pipeline", Token::RightParen)?),
            Token::Text1 | Token::RawText => {
                let value = self.unquote(&item)?;
                Kind::Text { quoted: item.text, value }
            }
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Operand { pos, kind }))
    }
}

fn number(item: &Item) -> Option<Number> {
    if item.token == Token::Char {
        let value = print::unquote(&item.text)?;
        let mut chars = value.chars();
        let c = chars.next()?;
        return chars.next().is_none().then_some(Number::Int(i64::from(u32::from(c))));
    }
    let text = item.text.replace('_', "");
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let lower = body.to_ascii_lowercase();
    let parsed = if let Some(hex) = lower.strip_prefix("0x") {
        u64::from_str_radix(hex, 16).ok()
    } else if let Some(octal) = lower.strip_prefix("0o") {
        u64::from_str_radix(octal, 8).ok()
    } else if let Some(binary) = lower.strip_prefix("0b") {
        u64::from_str_radix(binary, 2).ok()
    } else if lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| b.is_ascii_digit()) {
        u64::from_str_radix(&lower, 8).ok()
    } else {
        lower.parse().ok()
    };
    if let Some(value) = parsed {
        if negative {
            return Some(Number::Int((value as i64).checked_neg()?));
        }
        return Some(i64::try_from(value).map_or(Number::Uint(value), Number::Int));
    }
    let float: f64 = lower.parse().ok().filter(|_| lower.starts_with(|c: char| c.is_ascii_digit() || c == '.'))?;
    let float = if negative { -float } else { float };
    Some(Number::Float(float))
}
