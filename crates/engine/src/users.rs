//! Who a container runs as: `user[:group]` looked up in the `/etc/passwd` and `/etc/group` of its own file system.

use crate::{Error, Result};

/// Numbers of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, sorted, without repetition.
    pub(crate) groups: Vec<u32>,
    /// Home folder; `/` when the user has none.
    pub(crate) home: String,
}

/// Contents of the two files; empty where a file does not exist.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    pub(crate) passwd: String,
    pub(crate) group: String,
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// Highest number that a text may give (that of a 32-bit signed integer, as in Docker).
const HIGHEST: u64 = 0x7fff_ffff;

impl Accounts {
    fn users(&self) -> impl Iterator<Item = Passwd<'_>> {
        self.passwd.lines().filter_map(|line| {
            let fields: Vec<&str> = line.trim().split(':').collect();
            let number = |at: usize| fields.get(at).and_then(|s| s.parse().ok());
            Some(Passwd {
                name: fields.first()?,
                uid: number(2)?,
                gid: number(3)?,
                home: fields.get(5).copied().unwrap_or("/"),
            })
        })
    }

    fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.group.lines().filter_map(|line| {
            let fields: Vec<&str> = line.trim().split(':').collect();
            Some(Group {
                name: fields.first()?,
                gid: fields.get(2)?.parse().ok()?,
                members: fields.get(3).copied().unwrap_or(""),
            })
        })
    }

    /// The user that `spec` means, with the groups of `add` (`--group-add`).
    pub(crate) fn resolve(&self, spec: &str, add: &[String]) -> Result<User> {
        let (user, group) = spec.split_once(':').map_or((spec, ""), |(u, g)| (u, g));
        let user_number = number(user)?;
        let found = self
            .users()
            .find(|p| if user.is_empty() { p.uid == 0 } else { p.name == user })
            .or_else(|| self.users().find(|p| user_number == Some(p.uid)));
        let mut result = match (&found, user_number) {
            (Some(p), _) => User { uid: p.uid, gid: p.gid, groups: Vec::new(), home: p.home.into() },
            (None, Some(uid)) => User { uid, ..User::default() },
            (None, None) if user.is_empty() => User::default(),
            // as Go reads a number: one that is too large is no number, one below zero is one out of range
            (None, None) if user.strip_prefix('-').is_some_and(|n| matches!(number(n), Ok(Some(_)))) => {
                return Err(out_of_range());
            }
            (None, None) => {
                return Err(Error::InvalidParameter(format!(
                    "unable to find user {user}: no matching entries in passwd file"
                )));
            }
        };
        if group.is_empty() {
            if let Some(p) = &found {
                result.groups =
                    self.groups().filter(|g| g.members.split(',').any(|m| m == p.name)).map(|g| g.gid).collect();
            }
        } else {
            result.gid = self.group(group)?;
        }
        for name in add {
            result.groups.push(self.group(name)?);
        }
        result.groups.sort_unstable();
        result.groups.dedup();
        if result.home.is_empty() {
            result.home = "/".into();
        }
        Ok(result)
    }

    fn group(&self, name: &str) -> Result<u32> {
        let by_number = number(name)?;
        let found = self.groups().find(|g| g.name == name).map(|g| g.gid);
        found.or(by_number).ok_or_else(|| {
            Error::InvalidParameter(format!("unable to find group {name}: no matching entries in group file"))
        })
    }
}

/// A text of digits only, as a number in range.
fn number(text: &str) -> Result<Option<u32>> {
    if text.is_empty() || !text.bytes().all(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u64>() {
        Ok(n) if n <= HIGHEST => Ok(u32::try_from(n).ok()),
        _ => Err(out_of_range()),
    }
}

fn out_of_range() -> Error {
    Error::InvalidParameter(format!("uids and gids must be in range 0-{HIGHEST}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: &str, add: &[&str], expect: &str) {
        let accounts = Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\nbroken\n99:x:7:8::/n:/x\n".into(),
            group: "root:x:0:\nwheel:x:10:root,web\nwww:x:34:\nlog:x:40:web\n".into(),
        };
        let add: Vec<String> = add.iter().map(|s| (*s).to_owned()).collect();
        let got = match accounts.resolve(spec, &add) {
            Ok(u) => format!("{}:{} {:?} {}", u.uid, u.gid, u.groups, u.home),
            Err(e) => e.to_string(),
        };
        assert_eq!(got, expect, "{spec}");
    }

    #[test]
    fn users_are_found_as_docker_finds_them() {
        check("", &[], "0:0 [10] /root");
        check("0", &[], "0:0 [10] /root");
        check("web", &[], "33:34 [10, 40] /srv");
        check("33", &[], "33:34 [10, 40] /srv");
        check("web:log", &[], "33:40 [] /srv");
        check("web:1000", &[], "33:1000 [] /srv");
        check("1000", &[], "1000:0 [] /");
        check("1000:www", &["log", "77"], "1000:34 [40, 77] /");
        check("99", &[], "7:8 [] /n");
        check("nope", &[], "unable to find user nope: no matching entries in passwd file");
        check("web:nope", &[], "unable to find group nope: no matching entries in group file");
        check("web", &["nope"], "unable to find group nope: no matching entries in group file");
        check("-1", &[], "uids and gids must be in range 0-2147483647");
        check("4294967296", &[], "uids and gids must be in range 0-2147483647");
    }
}
