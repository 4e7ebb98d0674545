use ottla_model::EntityName;

use super::*;

fn named(name: &str) -> EntityName {
    EntityName::Named(name.to_owned())
}

fn quotas() -> ClientQuotas {
    let mut quotas = ClientQuotas::default();
    for entity in [
        ClientQuotaEntity::User(named("a")),
        ClientQuotaEntity::User(EntityName::Default),
        ClientQuotaEntity::ClientId(named("x")),
        ClientQuotaEntity::UserClientId(named("a"), named("x")),
        ClientQuotaEntity::UserClientId(named("a"), EntityName::Default),
        ClientQuotaEntity::UserClientId(EntityName::Default, named("x")),
    ] {
        quotas.set(&entity, QuotaKey::ProducerByteRate, Some(QuotaValue(1.0)));
    }
    let ip = ClientQuotaEntity::Ip(named("10.0.0.1"));
    quotas.set(&ip, QuotaKey::ConnectionCreationRate, Some(QuotaValue(1.0)));
    quotas
}

fn ask(components: &[(&str, QuotaMatch)], strict: bool) -> Result<Vec<String>, ErrorCode> {
    let components = components.iter().map(|(k, m)| ((*k).to_owned(), m.clone()));
    let filter = QuotaFilter {
        components: components.collect(),
        strict,
    };
    let all = quotas();
    let found = all.matching(&filter).map_err(|refusal| refusal.code)?;
    Ok(found.map(|(entity, _)| entity.to_string()).collect())
}

#[test]
fn a_filter_finds_exact_default_and_any_names() {
    let exact = |name: &str| QuotaMatch::Exact(name.to_owned());
    assert_eq!(ask(&[], false).unwrap().len(), 7);
    assert_eq!(ask(&[], true).unwrap().len(), 0);
    assert_eq!(ask(&[("user", exact("a"))], false).unwrap().len(), 3);
    assert_eq!(ask(&[("user", exact("a"))], true).unwrap(), ["user 'a'"]);
    assert_eq!(
        ask(&[("user", QuotaMatch::Default)], false).unwrap().len(),
        2
    );
    assert_eq!(ask(&[("user", QuotaMatch::Any)], true).unwrap().len(), 2);
    let both = [("user", QuotaMatch::Any), ("client-id", exact("x"))];
    let found = ask(&both, true).unwrap();
    assert_eq!(
        found,
        ["default user, client-id 'x'", "user 'a', client-id 'x'"]
    );
    assert_eq!(
        ask(&[("ip", QuotaMatch::Any)], true).unwrap(),
        ["ip '10.0.0.1'"]
    );
    assert_eq!(ask(&[("ip", exact("10.0.0.2"))], true).unwrap().len(), 0);
}

#[test]
fn a_filter_that_makes_no_sense_is_refused_with_kafkas_codes() {
    let any = QuotaMatch::Any;
    let twice = [("user", any.clone()), ("user", QuotaMatch::Default)];
    let mixed = [("user", any.clone()), ("ip", any.clone())];
    assert_eq!(
        ask(&[("", any.clone())], false),
        Err(ErrorCode::InvalidRequest)
    );
    assert_eq!(ask(&twice, false), Err(ErrorCode::InvalidRequest));
    assert_eq!(ask(&mixed, false), Err(ErrorCode::InvalidRequest));
    assert_eq!(
        ask(&[("topic", any)], false),
        Err(ErrorCode::UnsupportedVersion)
    );
}
