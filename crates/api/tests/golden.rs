//! Documents that a real Docker Engine 28 answered (identifiers replaced) survive our types byte for byte.

use serde::Serialize;
use serde::de::DeserializeOwned;
use wharf_api::{exec, image, inspect, network, stats, system, volume};

/// Reads a document and writes it again: same keys, same order, same zeroes and nulls.
fn check<T: Serialize + DeserializeOwned>(name: &str, golden: &str) {
    let golden = golden.trim_end();
    let ours: T = serde_json::from_str(golden).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(serde_json::to_string(&ours).expect("plain data"), golden, "{name}");
}

macro_rules! golden {
    ($($test:ident: $type:ty;)*) => {$(
        #[test]
        fn $test() {
            let golden = include_str!(concat!("golden/", stringify!($test), ".json"));
            check::<$type>(stringify!($test), golden);
        }
    )*};
}

golden! {
    changes: Option<Vec<inspect::Change>>;
    df: system::DiskUsage;
    exec: exec::Inspect;
    history: Vec<image::History>;
    image: image::Inspect;
    images: Vec<image::Summary>;
    info: system::Info;
    inspect_full: inspect::Inspect;
    inspect_health: inspect::Inspect;
    inspect_running: inspect::Inspect;
    list: Vec<inspect::Summary>;
    network: network::Network;
    networks: Vec<network::Network>;
    stats: stats::Stats;
    top: inspect::Top;
    version: system::Version;
    volume: volume::Volume;
    volumes: volume::List;
}

#[test]
fn events() {
    for line in include_str!("golden/events.json").lines() {
        check::<system::Event>("events", line);
    }
}

#[test]
fn older_versions_decode() {
    fn reads<T: DeserializeOwned>(text: &str) {
        serde_json::from_str::<T>(text).expect("an older document");
    }
    reads::<image::Inspect>(include_str!("golden/image_v1.43.json"));
    reads::<image::Inspect>(include_str!("golden/image_v1.44.json"));
    reads::<image::Inspect>(include_str!("golden/image_v1.47.json"));
    reads::<system::Info>(include_str!("golden/info_v1.24.json"));
    reads::<system::DiskUsage>(include_str!("golden/df_v1.24.json"));
}
