//! Go's reading of JSON: what a declaration may look like and how a wrong one is refused.

use wharf_api::container::{CreateRequest, HostConfig, Words};
use wharf_api::go::GoValue;

fn read(text: &str) -> CreateRequest {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn keys_match_in_any_case_and_the_last_wins() {
    let config = read(r#"{"IMAGE":"a","image":"b"}"#).config.expect("a key of it");
    assert_eq!(config.image, "b");
}

#[test]
fn null_is_zero_at_any_depth() {
    let request = read(
        r#"{"Image":null,"Env":[null,"A=b"],"Labels":{"a":null},"HostConfig":{"Memory":null,"LogConfig":null,
            "PortBindings":{"80/tcp":null},"Ulimits":[null]}}"#,
    );
    let config = request.config.expect("config");
    assert_eq!(config.env, Some(vec![String::new(), "A=b".into()]));
    assert_eq!(config.labels.expect("labels")["a"], "");
    let host = request.host_config.expect("host config");
    assert_eq!(host.port_bindings.expect("ports")["80/tcp"], None);
    assert_eq!(host.resources.ulimits, Some(vec![None]));
}

#[test]
fn nothing_of_the_config_means_no_config() {
    assert_eq!(read("{}").config, None);
    assert_eq!(read("null").config, None);
    assert_eq!(read(r#"{"HostConfig":{},"Unknown":[{"x":1}]}"#).config, None);
    assert!(read(r#"{"Hostname":""}"#).config.is_some());
}

#[test]
fn a_command_is_a_list_or_a_word() {
    assert_eq!(read(r#"{"Cmd":"sh"}"#).config.expect("config").cmd, Some(Words(vec!["sh".into()])));
    assert_eq!(read(r#"{"Cmd":["a","b"]}"#).config.expect("config").cmd, Some(Words(vec!["a".into(), "b".into()])));
    assert_eq!(read(r#"{"Cmd":null}"#).config.expect("config").cmd, None);
}

#[test]
fn an_array_of_two_takes_what_is_there() {
    let host: HostConfig = serde_json::from_str(r#"{"ConsoleSize":[24]}"#).expect("host config");
    assert_eq!(host.console_size, [24, 0]);
}

#[test]
fn wrong_types_are_named_as_go_names_them() {
    let check = |text: &str, expect: &str| {
        assert!(serde_json::from_str::<CreateRequest>(text).is_err(), "{text}");
        let value = serde_json::from_str(text).expect("valid JSON");
        let error = CreateRequest::check(&value, &mut String::new()).expect_err(text);
        assert_eq!(error.to_string(), expect, "{text}");
    };
    check("[]", "json: cannot unmarshal array into Go value of type container.CreateRequest");
    check(r#"{"Image":5}"#, "json: cannot unmarshal number into Go struct field .Image of type string");
    check(r#"{"Cmd":5}"#, "json: cannot unmarshal number into Go value of type string");
    check(
        r#"{"HostConfig":{"Memory":"x"}}"#,
        "json: cannot unmarshal string into Go struct field .HostConfig.Memory of type int64",
    );
    check(
        r#"{"HostConfig":{"Memory":1.5}}"#,
        "json: cannot unmarshal number 1.5 into Go struct field .HostConfig.Memory of type int64",
    );
    check(r#"{"Labels":{"a":1}}"#, "json: cannot unmarshal number into Go struct field .Labels.a of type string");
    check(
        r#"{"HostConfig":{"Ulimits":[{"Name":5}]}}"#,
        "json: cannot unmarshal number into Go struct field .HostConfig.Ulimits.0.Name of type string",
    );
    check(
        r#"{"HostConfig":{"Binds":"x"}}"#,
        "json: cannot unmarshal string into Go struct field .HostConfig.Binds of type []string",
    );
}
