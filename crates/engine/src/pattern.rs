//! Regular expressions that users give: of log options (`labels-regex`, `env-regex`) and of filters. A match takes time linear in the text, whatever a client declares.

use regex_lite::{Regex, RegexBuilder};

/// Largest compiled expression, in bytes: counts of counts of counts are refused.
const LARGEST: usize = 1 << 20;

/// Compiles an expression.
///
/// # Errors
/// Go's sentence where it has the one that people see most, else the library's.
pub(crate) fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(LARGEST).build().map_err(|error| {
        let why = error.to_string();
        let known = match &why {
            why if why.contains("class") && (why.contains("unclosed") || why.contains("closing")) => {
                "missing closing ]"
            }
            why if why.contains("open group without closing") => "missing closing )",
            why if why.contains("closing ')' without") => "unexpected )",
            why => why,
        };
        format!("error parsing regexp: {known}: `{text}`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_go_does() {
        let check = |pattern: &str, text: &str, expect: bool| {
            let found = compile(pattern).map(|p| p.is_match(text));
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
                compile(pattern).map(drop).map_err(|e| e.replace("error parsing regexp: ", "")),
                Err(expect.into())
            );
        };
        check("[", "missing closing ]: `[`");
        check("(a", "missing closing ): `(a`");
        check("a)", "unexpected ): `a)`");
        for bad in ["*a", "a{2,1}", "[b-a]", "\\q", "a\\", "\\pL"] {
            assert!(compile(bad).is_err(), "{bad}");
        }
        assert!(compile(&"(".repeat(10_000)).is_err());
        assert!(compile("((a{1000}){1000}){1000}").is_err());
    }
}
