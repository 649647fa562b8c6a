//! Regular expressions as Go writes them (RE2), as far as names of labels and variables need them (`labels-regex`, `env-regex`).
//!
//! ```text
//!   text ─► tree ─► sets of places: each node leads from the places where it may begin to those where it may end
//! ```
//!
//! A match costs at most (size of the expression) × (length of the text)²: whatever a client declares, nothing runs away. Left out:
//! named character classes (`\pL`, `[[:alpha:]]`); they are refused, not misread.

use std::collections::BTreeSet;

/// How deep groups may nest.
const DEEPEST: usize = 50;
/// Go's limit for counts, nested ones multiplied.
const MOST: u32 = 1000;

/// A compiled expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Node);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// One character of these ranges, or (`false`) none of them.
    One(Vec<(char, char)>, bool),
    Start,
    End,
    /// Between a word and no word, or (`false`) not so.
    Edge(bool),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    /// So often, without an end if there is none.
    Repeat(Box<Node>, u32, Option<u32>),
}

type Places = BTreeSet<usize>;

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Go's sentence.
    pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
        let mut parser = Parser { text: text.chars().collect(), at: 0, depth: 0, any_case: false };
        let tree = parser.either()?;
        match parser.peek() {
            None => Ok(Pattern(tree)),
            Some(_) => Err(format!("error parsing regexp: unexpected ): `{text}`")),
        }
    }

    /// Whether it matches anywhere in a text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        !ends(&self.0, &text, &(0..=text.len()).collect()).is_empty()
    }
}

/// Where a node may end when it begins at one of these places.
fn ends(node: &Node, text: &[char], begins: &Places) -> Places {
    let only = |holds: &dyn Fn(usize) -> bool| begins.iter().copied().filter(|at| holds(*at)).collect();
    match node {
        Node::One(ranges, inside) => {
            let takes = |at: &usize| {
                text.get(*at).is_some_and(|c| ranges.iter().any(|(low, high)| (low..=high).contains(&c)) == *inside)
            };
            begins.iter().copied().filter(takes).map(|at| at + 1).collect()
        }
        Node::Start => only(&|at| at == 0),
        Node::End => only(&|at| at == text.len()),
        Node::Edge(edge) => {
            let word = |at: Option<usize>| {
                at.and_then(|at| text.get(at)).is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_')
            };
            only(&|at| (word(at.checked_sub(1)) != word(Some(at))) == *edge)
        }
        Node::Sequence(parts) => parts.iter().fold(begins.clone(), |places, part| ends(part, text, &places)),
        Node::Either(parts) => parts.iter().flat_map(|part| ends(part, text, begins)).collect(),
        Node::Repeat(part, least, most) => {
            let mut places = begins.clone();
            for _ in 0..*least {
                places = ends(part, text, &places);
            }
            let mut all = places.clone();
            let mut left = most.map(|most| most - least);
            while left != Some(0) && !places.is_empty() {
                // what was reached before leads nowhere new
                places = ends(part, text, &places).difference(&all).copied().collect();
                all.extend(&places);
                left = left.map(|left| left - 1);
            }
            all
        }
    }
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
    any_case: bool,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    fn eat(&mut self, text: &str) -> bool {
        let is_next = text.chars().enumerate().all(|(i, c)| self.text.get(self.at + i) == Some(&c));
        if is_next {
            self.at += text.chars().count();
        }
        is_next
    }

    fn wrong<T>(&self, what: &str, from: usize) -> Result<T, String> {
        let part: String = self.text[from..self.at.max(from).min(self.text.len())].iter().collect();
        Err(format!("error parsing regexp: {what}: `{part}`"))
    }

    fn either(&mut self) -> Result<Node, String> {
        let mut parts = vec![self.sequence()?];
        while self.eat("|") {
            parts.push(self.sequence()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Either(parts) })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut parts = Vec::new();
        while self.peek().is_some_and(|c| c != '|' && c != ')') {
            if let Some(part) = self.repeated()? {
                parts.push(part);
            }
        }
        Ok(Node::Sequence(parts))
    }

    /// One part and how often it comes; `None` for flags alone.
    fn repeated(&mut self) -> Result<Option<Node>, String> {
        let begin = self.at;
        let Some(mut node) = self.part()? else { return Ok(None) };
        let before = self.at;
        let counted = match self.peek() {
            Some('*') => Some((0, None)),
            Some('+') => Some((1, None)),
            Some('?') => Some((0, Some(1))),
            Some('{') => self.count()?,
            _ => None,
        };
        let Some((least, most)) = counted else { return Ok(Some(node)) };
        if self.at == before {
            self.at += 1;
        }
        // whether it takes as little as it can does not change whether it matches
        self.eat("?");
        if matches!(self.peek(), Some('*' | '+' | '?')) {
            self.at += 1;
            return self.wrong("invalid nested repetition operator", before);
        }
        node = Node::Repeat(Box::new(node), least, most);
        if weight(&node) > MOST {
            return self.wrong("invalid repeat count", begin);
        }
        Ok(Some(node))
    }

    /// `{n}`, `{n,}`, `{n,m}`; anything else is text.
    fn count(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        let begin = self.at;
        let rest: String = self.text[begin + 1..].iter().take_while(|c| **c != '}').collect();
        let closed = self.text.get(begin + 1 + rest.chars().count()) == Some(&'}');
        let (least, most) = match rest.split_once(',') {
            None => (rest.parse().ok(), Some(rest.parse().ok())),
            Some((least, "")) => (least.parse().ok(), None),
            Some((least, most)) => (least.parse().ok(), Some(most.parse().ok())),
        };
        let (Some(least), true) = (least, closed) else { return Ok(None) };
        let most = match most {
            Some(None) => return Ok(None),
            Some(most) => most,
            None => None,
        };
        self.at = begin + rest.chars().count() + 2;
        if least > MOST || most.is_some_and(|most: u32| most > MOST || most < least) {
            return self.wrong("invalid repeat count", begin);
        }
        Ok(Some((least, most)))
    }

    fn part(&mut self) -> Result<Option<Node>, String> {
        let begin = self.at;
        let Some(c) = self.next() else { return Ok(None) };
        Ok(Some(match c {
            '(' => return self.group(begin),
            '[' => self.class(begin)?,
            '.' => Node::One(vec![('\n', '\n')], false),
            '^' => Node::Start,
            '$' => Node::End,
            '*' | '+' | '?' => return self.wrong("missing argument to repetition operator", begin),
            '\\' => self.escape(begin)?,
            c => self.literal(c),
        }))
    }

    fn literal(&self, c: char) -> Node {
        let mut ranges = vec![(c, c)];
        if self.any_case {
            ranges.extend(c.to_lowercase().chain(c.to_uppercase()).map(|c| (c, c)));
        }
        Node::One(ranges, true)
    }

    fn group(&mut self, begin: usize) -> Result<Option<Node>, String> {
        let any_case = self.any_case;
        if self.eat("?") {
            if self.eat("P<") || self.eat("<") {
                while self.peek().is_some_and(|c| c != '>') {
                    self.at += 1;
                }
                if !self.eat(">") {
                    return self.wrong("invalid named capture", begin);
                }
            } else {
                let mut on = true;
                loop {
                    match self.next() {
                        Some('i') => self.any_case = on,
                        // these change nothing for a text of one line
                        Some('s' | 'm' | 'U') => {}
                        Some('-') => on = false,
                        Some(':') => break,
                        // for the rest of the group around it
                        Some(')') => return Ok(None),
                        _ => return self.wrong("invalid or unsupported Perl syntax", begin),
                    }
                }
            }
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.wrong("expression nests too deeply", begin);
        }
        let inside = self.either()?;
        self.depth -= 1;
        self.any_case = any_case;
        if !self.eat(")") {
            self.at = self.text.len();
            return self.wrong("missing closing )", 0);
        }
        Ok(Some(inside))
    }

    fn escape(&mut self, begin: usize) -> Result<Node, String> {
        let Some(c) = self.next() else {
            return Err("error parsing regexp: trailing backslash at end of expression: ``".into());
        };
        Ok(match c {
            'A' => Node::Start,
            'z' => Node::End,
            'b' => Node::Edge(true),
            'B' => Node::Edge(false),
            _ => match perl(c) {
                Some((ranges, inside)) => Node::One(ranges, inside),
                None => self.literal(self.plain(c, begin)?),
            },
        })
    }

    /// An escaped character that stands for one.
    fn plain(&self, c: char, begin: usize) -> Result<char, String> {
        Ok(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'a' => '\u{7}',
            c if c.is_ascii_punctuation() => c,
            _ => return self.wrong("invalid escape sequence", begin),
        })
    }

    fn class(&mut self, begin: usize) -> Result<Node, String> {
        let inside = !self.eat("^");
        let mut ranges = Vec::new();
        let mut first = true;
        loop {
            let from = self.at;
            let low = match self.next() {
                None => {
                    return self.wrong("missing closing ]", begin);
                }
                Some(']') if !first => break,
                Some('[') if self.peek() == Some(':') => return self.wrong("invalid character class range", from),
                Some('\\') => {
                    let Some(c) = self.next() else { return self.wrong("missing closing ]", begin) };
                    if let Some((more, true)) = perl(c) {
                        ranges.extend(more);
                        first = false;
                        continue;
                    }
                    self.plain(c, from)?
                }
                Some(c) => c,
            };
            first = false;
            let is_range = self.peek() == Some('-') && self.text.get(self.at + 1).is_some_and(|c| *c != ']');
            let high = if is_range {
                self.at += 1;
                match self.next() {
                    Some('\\') => {
                        let Some(c) = self.next() else { return self.wrong("missing closing ]", begin) };
                        self.plain(c, from)?
                    }
                    Some(c) => c,
                    None => return self.wrong("missing closing ]", begin),
                }
            } else {
                low
            };
            if high < low {
                return self.wrong("invalid character class range", from);
            }
            ranges.push((low, high));
        }
        if self.any_case {
            let lower = |c: char| (c.to_ascii_lowercase(), c.to_ascii_uppercase());
            let more: Vec<_> = ranges
                .iter()
                .filter(|(low, high)| low.is_ascii_alphabetic() && high.is_ascii_alphabetic())
                .flat_map(|(low, high)| [(lower(*low).0, lower(*high).0), (lower(*low).1, lower(*high).1)])
                .collect();
            ranges.extend(more);
        }
        Ok(Node::One(ranges, inside))
    }
}

/// `\d`, `\w`, `\s` and what they are not.
fn perl(c: char) -> Option<(Vec<(char, char)>, bool)> {
    let ranges = match c.to_ascii_lowercase() {
        'd' => vec![('0', '9')],
        'w' => vec![('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        's' => vec![('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')],
        _ => return None,
    };
    Some((ranges, c.is_ascii_lowercase()))
}

/// How often the innermost part of a node is gone through at most, counts multiplied.
fn weight(node: &Node) -> u32 {
    match node {
        Node::Sequence(parts) | Node::Either(parts) => parts.iter().map(weight).max().unwrap_or(1),
        Node::Repeat(part, least, most) => weight(part).saturating_mul(most.unwrap_or(*least).max(1)),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_go_does() {
        let check = |pattern: &str, text: &str, expect: bool| {
            let found = Pattern::parse(pattern).map(|p| p.is_match(text));
            assert_eq!(found, Ok(expect), "{pattern} in {text}");
        };
        check("^com\\.example\\.", "com.example.tier", true);
        check("^com\\.example\\.", "comXexample.tier", false);
        check("tier|role", "my.role", true);
        check("^(tier|role)$", "my.role", false);
        check("^[a-c]+[^x]?$", "abcz", true);
        check("^[a-c]+[^x]?$", "abcx", false);
        check("^a{2,3}$", "aaaa", false);
        check("^a{2,}$", "aaaa", true);
        check("a{,2}", "a{,2}", true);
        check("(?i)^PATH$", "path", true);
        check("(?i:a)B", "AB", true);
        check("(?i:a)B", "Ab", false);
        check("\\bid\\b", "my-id", true);
        check("\\bid\\b", "myid", false);
        check("^\\w+\\d$", "v_1", true);
        check("[]a]", "]", true);
        check("", "anything", true);
        check("^(a*)*$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false);
        check("x*", "", true);
        check("^ä.$", "äö", true);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let check = |pattern: &str, expect: &str| {
            assert_eq!(
                Pattern::parse(pattern).map_err(|e| e.replace("error parsing regexp: ", "")),
                Err(expect.into())
            );
        };
        check("[", "missing closing ]: `[`");
        check("(a", "missing closing ): `(a`");
        check("a)", "unexpected ): `a)`");
        check("*a", "missing argument to repetition operator: `*`");
        check("a**", "invalid nested repetition operator: `**`");
        check("a{2,1}", "invalid repeat count: `{2,1}`");
        check("[b-a]", "invalid character class range: `b-a`");
        check("\\q", "invalid escape sequence: `\\q`");
        check("a\\", "trailing backslash at end of expression: ``");
        assert!(Pattern::parse(&"(".repeat(10_000)).is_err());
        assert!(Pattern::parse("((a{1000}){1000}){1000}").is_err());
    }
}
