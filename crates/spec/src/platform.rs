//! Platforms: operating system, architecture and variant, in the spelling of the OCI image index.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What an image runs on (OCI image index, `platform`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, `arm`, …: GOARCH.
    pub architecture: String,
    /// `linux`, …: GOOS.
    pub os: String,
    /// `v7`, `v8`, … of the architecture; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// Version of the operating system; only Windows uses it.
    #[serde(default, rename = "os.version", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Features of the operating system; only Windows uses them.
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
}

/// A platform text that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// A component has characters outside `[A-Za-z0-9_.-]`, or there are too many.
    #[error(
        "{0:?} is an invalid component of {1:?}: platform specifier component must match \"^[A-Za-z0-9_.-]+$\": invalid argument"
    )]
    Component(String, String),
    /// A single word that is neither a known system nor a known architecture.
    #[error("{0:?}: unknown operating system or architecture: invalid argument")]
    Unknown(String),
    /// More than three components.
    #[error("{0:?}: cannot parse platform specifier: invalid argument")]
    TooMany(String),
}

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

impl Platform {
    /// The machine this program runs on.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            other => other,
        };
        Self { architecture: architecture.into(), os: "linux".into(), ..Self::default() }.normalized()
    }

    /// The same platform with aliases resolved (`x86_64` is `amd64`) and default variants spelled one way.
    pub fn normalized(mut self) -> Self {
        self.os = self.os.to_lowercase();
        if self.os == "macos" {
            self.os = "darwin".into();
        }
        let (arch, variant) = normalize_arch(&self.architecture, &self.variant);
        self.architecture = arch;
        self.variant = variant;
        self
    }

    /// Whether an image for `self` runs on (or was asked for as) `wanted`. An empty variant of `wanted` accepts any.
    pub fn satisfies(&self, wanted: &Self) -> bool {
        let have = self.clone().normalized();
        let want = wanted.clone().normalized();
        have.os == want.os
            && have.architecture == want.architecture
            && (want.variant.is_empty()
                || have.variant == want.variant
                || (have.variant.is_empty() && want.architecture != "arm"))
    }
}

fn normalize_arch(arch: &str, variant: &str) -> (String, String) {
    let (arch, variant) = (arch.to_lowercase(), variant.to_lowercase());
    let (arch, variant) = match (arch.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", v) => ("amd64", v),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64", v) => ("arm64", v),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        (a, v) => (a, v),
    };
    (arch.to_owned(), variant.to_owned())
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Parses `os`, `arch`, `os/arch` or `os/arch/variant`; what is left out is the host's.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() > 3 {
            return Err(PlatformError::TooMany(text.into()));
        }
        for part in &parts {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            if part.is_empty() || !part.chars().all(good) {
                return Err(PlatformError::Component((*part).into(), text.into()));
            }
        }
        let host = Self::host();
        let make = |os: &str, arch: &str, variant: &str| {
            Self { os: os.into(), architecture: arch.into(), variant: variant.into(), ..Self::default() }.normalized()
        };
        match parts[..] {
            [word] => {
                let os = make(word, "amd64", "").os;
                if SYSTEMS.contains(&os.as_str()) {
                    return Ok(make(&os, &host.architecture, &host.variant));
                }
                let arch = make("linux", word, "");
                if ARCHITECTURES.contains(&arch.architecture.as_str()) {
                    return Ok(Self { os: host.os, ..arch });
                }
                Err(PlatformError::Unknown(word.into()))
            }
            [os, arch] => Ok(make(os, arch, "")),
            [os, arch, variant] => Ok(make(os, arch, variant)),
            _ => Err(PlatformError::TooMany(text.into())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_img_08_platform_spellings() {
        let check =
            |text: &str, expect: &str| assert_eq!(text.parse::<Platform>().unwrap().to_string(), expect, "{text}");
        check("linux/amd64", "linux/amd64");
        check("linux/x86_64", "linux/amd64");
        check("Linux/aarch64/v8", "linux/arm64");
        check("linux/arm", "linux/arm/v7");
        check("linux/arm/6", "linux/arm/v6");
        check("arm64", "linux/arm64");
        check("linux", &Platform::host().to_string());
        for bad in ["", "nonsense", "linux/am d64", "a/b/c/d", "linux//v8"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    #[test]
    fn r_img_08_platform_selection() {
        let p = |t: &str| t.parse::<Platform>().unwrap();
        assert!(p("linux/amd64").satisfies(&p("linux/amd64")));
        assert!(p("linux/arm/v7").satisfies(&p("linux/arm")));
        assert!(!p("linux/arm/v6").satisfies(&p("linux/arm/v7")));
        assert!(!p("linux/arm64").satisfies(&p("linux/amd64")));
    }
}
