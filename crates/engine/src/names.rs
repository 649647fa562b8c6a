//! Names that are made up for containers without one: adjective_surname, as everybody knows them.

/// Words for a mood or a quality.
const ADJECTIVES: &[&str] = &[
    "able", "agile", "airy", "amber", "ample", "apt", "ardent", "artful", "bold", "brave", "breezy", "bright", "brisk",
    "calm", "candid", "careful", "cheerful", "civil", "clear", "clever", "cosy", "crisp", "curious", "daring", "deft",
    "devoted", "eager", "earnest", "easy", "elated", "elegant", "epic", "exact", "fair", "famous", "festive", "fine",
    "firm", "fluent", "fond", "frank", "free", "fresh", "gallant", "generous", "gentle", "glad", "golden", "grand",
    "happy", "hardy", "hearty", "honest", "humble", "ideal", "jolly", "jovial", "keen", "kind", "lively", "loyal",
    "lucid", "lucky", "mellow", "merry", "mild", "modest", "neat", "nimble", "noble", "patient", "peaceful", "plucky",
    "polite", "proud", "prudent", "quick", "quiet", "ready", "robust", "rosy", "sage", "serene", "sharp", "silent",
    "sincere", "sleek", "smart", "snug", "solid", "spry", "stable", "steady", "sunny", "swift", "tender", "thrifty",
    "tidy", "trusty", "upbeat", "valiant", "vivid", "warm", "wise", "witty", "zealous", "zesty",
];

/// People who found something out, or went somewhere first.
const SURNAMES: &[&str] = &[
    "abel",
    "agnesi",
    "airy",
    "ampere",
    "anning",
    "archimedes",
    "avogadro",
    "babbage",
    "banach",
    "bardeen",
    "barton",
    "bell",
    "bernoulli",
    "bohr",
    "boltzmann",
    "boole",
    "born",
    "bose",
    "boyle",
    "brahe",
    "braun",
    "brunel",
    "cantor",
    "carnot",
    "carson",
    "cartan",
    "cassini",
    "cauchy",
    "cavendish",
    "cayley",
    "celsius",
    "cerf",
    "chandra",
    "church",
    "clarke",
    "codd",
    "cori",
    "coulomb",
    "crick",
    "curie",
    "dalton",
    "darwin",
    "debye",
    "dedekind",
    "descartes",
    "diesel",
    "diffie",
    "dijkstra",
    "dirac",
    "doppler",
    "drake",
    "eddington",
    "edison",
    "einstein",
    "erdos",
    "euclid",
    "euler",
    "faraday",
    "fermat",
    "fermi",
    "feynman",
    "fisher",
    "fleming",
    "foucault",
    "fourier",
    "franklin",
    "fresnel",
    "galileo",
    "galois",
    "galvani",
    "gauss",
    "germain",
    "gibbs",
    "goedel",
    "goodall",
    "gutenberg",
    "haber",
    "hahn",
    "halley",
    "hamilton",
    "hawking",
    "heisenberg",
    "helmholtz",
    "henry",
    "hermite",
    "herschel",
    "hertz",
    "hilbert",
    "hoare",
    "hodgkin",
    "hooke",
    "hopper",
    "hubble",
    "humboldt",
    "hutton",
    "huygens",
    "hypatia",
    "jacobi",
    "jacquard",
    "jenner",
    "johnson",
    "joule",
    "kelvin",
    "kepler",
    "khorana",
    "knuth",
    "koch",
    "kovalevsky",
    "lagrange",
    "lamarr",
    "lambert",
    "laplace",
    "lavoisier",
    "leavitt",
    "legendre",
    "leibniz",
    "lie",
    "linnaeus",
    "lorentz",
    "lovelace",
    "lyell",
    "mach",
    "marconi",
    "markov",
    "maxwell",
    "mayer",
    "mccarthy",
    "mcclintock",
    "meitner",
    "mendel",
    "mendeleev",
    "mercator",
    "milner",
    "minkowski",
    "mirzakhani",
    "moebius",
    "morse",
    "nash",
    "neumann",
    "newton",
    "nobel",
    "noether",
    "ohm",
    "oersted",
    "oppenheimer",
    "pascal",
    "pasteur",
    "pauli",
    "pauling",
    "payne",
    "peano",
    "perlman",
    "planck",
    "poincare",
    "poisson",
    "ptolemy",
    "raman",
    "ramanujan",
    "riemann",
    "ritchie",
    "roentgen",
    "rubin",
    "rutherford",
    "sagan",
    "salk",
    "schroedinger",
    "shannon",
    "shockley",
    "snell",
    "somerville",
    "stokes",
    "swartz",
    "tesla",
    "thales",
    "thompson",
    "thomson",
    "torvalds",
    "turing",
    "volta",
    "wallace",
    "watt",
    "weber",
    "weyl",
    "wiener",
    "wilkes",
    "wing",
    "wirth",
    "wozniak",
    "wu",
    "yalow",
    "yonath",
    "young",
    "zeeman",
    "zuse",
];

/// Tries before a digit is added to make a free name more likely.
const PLAIN_TRIES: usize = 6;

/// A free name. `taken` says whether a name is in use; `random` gives numbers.
pub(crate) fn generate(mut random: impl FnMut() -> u32, taken: impl Fn(&str) -> bool) -> String {
    let mut tries = 0;
    loop {
        let mut pick = |words: &[&'static str]| words[random() as usize % words.len()];
        let mut name = format!("{}_{}", pick(ADJECTIVES), pick(SURNAMES));
        if tries >= PLAIN_TRIES {
            name.push_str(&(random() % 10_u32.saturating_pow(tries.min(9) as u32)).to_string());
        }
        if !taken(&name) {
            return name;
        }
        tries += 1;
    }
}

/// A container name follows `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub(crate) fn is_valid(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() >= 2
        && bytes[0].is_ascii_alphanumeric()
        && bytes[1..].iter().all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_are_valid_and_free() {
        for seed in 0..2000_u32 {
            let mut n = seed;
            let name = generate(
                || {
                    n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    n >> 8
                },
                |_| false,
            );
            assert!(is_valid(&name), "{name}");
        }
        let mut n = 0;
        let busy = generate(
            || {
                n += 1;
                n
            },
            |name| !name.ends_with(|c: char| c.is_ascii_digit()),
        );
        assert!(is_valid(&busy));
    }

    #[test]
    fn grammar() {
        let check = |name: &str, expect: bool| assert_eq!(is_valid(name), expect, "{name}");
        check("web", true);
        check("w1", true);
        check("a.b-c_d", true);
        for bad in ["", "a", "-a", ".a", "a/b", "a b", "ä1", "a\n"] {
            check(bad, false);
        }
    }
}
