use super::*;

fn resolve(settings: &[(&str, &str)]) -> Result<ClientMetricsConfig, String> {
    let owned = settings.iter().map(|&(k, v)| (k.to_owned(), v.to_owned()));
    ClientMetricsConfig::resolve(&owned.collect()).map_err(|error| error.to_string())
}

#[test]
fn a_pattern_is_for_the_whole_value() {
    let config = resolve(&[("match", "client_id=app-.*|x, client_source_port=90[0-9]+")]).unwrap();
    let conditions = config.conditions().unwrap();
    assert_eq!(conditions.len(), 2);
    let by_id = &conditions[0];
    assert_eq!(by_id.parameter, ClientParameter::ClientId);
    let matched = ["app-1", "x", "my-app-1", "xx", ""].map(|id| by_id.is_match(id));
    assert_eq!(matched, [true, true, false, false, false]);
    assert!(conditions[1].is_match("9092") && !conditions[1].is_match("1"));
}

#[test]
fn the_last_pattern_of_a_parameter_counts() {
    let config = resolve(&[("match", "client_id=a,client_id=b")]).unwrap();
    let conditions = config.conditions().unwrap();
    assert_eq!(conditions.len(), 1);
    assert!(conditions[0].is_match("b"));
}

#[test]
fn whatever_is_no_condition_is_refused_with_its_text() {
    for entry in [
        "client_id",
        "client_id=",
        "name=a",
        "client_id=(",
        "client_id=a=b",
        "=a",
    ] {
        let refused = resolve(&[("match", entry)]).unwrap_err();
        let begin = format!("Illegal client matching pattern: {entry} (");
        assert!(refused.starts_with(&begin), "{refused}");
    }
    let huge = format!("client_id=(?:{}){{999}}", "\\w".repeat(99));
    assert!(resolve(&[("match", &huge)]).is_err());
    assert!(resolve(&[("interval.ms", "99")]).is_err());
    assert!(resolve(&[("interval.ms", "3600001")]).is_err());
    assert!(resolve(&[("metrics", "a,a")]).is_err());
}

proptest::proptest! {
    #[test]
    fn a_text_without_special_characters_is_a_pattern_for_itself(value in "[a-zA-Z0-9_-]{1,20}") {
        let condition = ClientMatch::parse(&format!("client_id = {value}")).unwrap();
        proptest::prop_assert!(condition.is_match(&value));
        let longer = format!("{value}x");
        proptest::prop_assert!(!condition.is_match(&longer));
    }

    #[test]
    fn any_text_is_a_condition_with_a_known_parameter_or_an_error(entry: String) {
        if let Ok(condition) = ClientMatch::parse(&entry) {
            proptest::prop_assert!(entry.trim().starts_with(condition.parameter.name()));
        }
    }
}
