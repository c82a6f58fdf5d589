//! `kind = "aws"`: its defaults, each fault with its place, whose account it is, and `config/aws.toml`.

use std::num::NonZeroU32;

use super::*;
use crate::aws::UpstreamQuota;
use crate::backend::aws::{
    ConnectionSettings, EndpointSettings, LookUpSettings, Replicas, Role, Settings, ShareSettings, Timeouts,
    UpstreamSettings,
};

/// What a gateway that forwards has to be told.
const LEAST: &str = "
region = 'us-east-1'
auth = { credentials_file = 'credentials.toml' }
backend.kind = 'aws'
";

const OTHER: &str = "444455556666";

/// Its settings: the least with `more` in `[backend]`.
fn settings(more: &str) -> Settings {
    let config = loaded(&format!("{LEAST}{more}")).unwrap_or_else(|faults| panic!("{more}: {faults}"));
    forwarded(config)
}

fn forwarded(config: Config) -> Settings {
    let Backend::Aws(settings) = config.backend else { panic!("another backend") };
    *settings
}

/// The one fault of the least configuration and `more`: its path, its message and its hint.
fn fault(more: &str) -> (String, String, String) {
    let text = format!("{LEAST}{more}\n");
    let faults = loaded(&text).expect_err(more);
    let [fault] = faults.as_slice() else { panic!("{more}: {faults}") };
    assert_eq!(fault.line, Some(text.lines().count()), "{fault}");
    (fault.path.clone(), fault.message.clone(), fault.hint.clone().expect("a hint"))
}

/// Each last line is one fault: its path below `backend`, what its text has, and what its hint has.
fn assert_faults(cases: &[(&str, &str, &str, &str)]) {
    for (line, path, says, advises) in cases {
        let (found, message, hint) = fault(&format!("backend.{line}"));
        assert_eq!(found, format!("backend.{path}"), "{line}");
        assert!(message.contains(says), "{line}: {message}");
        assert!(hint.contains(advises), "{line}: {hint}");
    }
}

fn of_aws(region: &str, account: &str) -> UpstreamSettings {
    UpstreamSettings {
        region: region.parse().unwrap(),
        account: account.parse().unwrap(),
        endpoint: EndpointSettings::Aws { fips: false, dual_stack: false },
        role: None,
    }
}

#[test]
fn a_region_is_enough() {
    let milliseconds = Duration::from_millis;
    let (connect, first_byte, call) = (milliseconds(2_000), milliseconds(5_000), milliseconds(10_000));
    let expected = Settings {
        upstreams: vec![of_aws("us-east-1", "111122223333")],
        timeouts: Timeouts { connect, first_byte, call },
        connections: ConnectionSettings { idle_timeout: milliseconds(50_000), warm: 2, most_idle: 64, most: 256 },
        look_ups: LookUpSettings {
            lifetime: milliseconds(60_000),
            absent_lifetime: milliseconds(5_000),
            entries: 10_000,
        },
        share: ShareSettings { percent: 80, per_second: Vec::new(), replicas: Replicas::Fixed(NonZeroU32::MIN) },
    };
    assert_eq!(settings(""), expected);
    assert!(!loaded(LEAST).unwrap().grants.forward_foreign);
}

#[test]
fn what_is_told_is_what_is_had() {
    let text = "
endpoint_url = 'https://kms.test:8443'
ca_file = 'kmsgate.toml'
role_arn = 'arn:aws:iam::111122223333:role/path/kmsgate'
role_session_name = 'one@kms.test'
role_external_id = 'urn:example/7'
connect_timeout_ms = 1
first_byte_timeout_ms = 2
call_timeout_ms = 3
idle_timeout_ms = 0
max_connections = 9
max_idle_connections = 8
warm_connections = 7
look_ups = { lifetime_ms = 0, absent_lifetime_ms = 4, entries = 5 }
quota = { percent = 50, replicas = 6, per_second.symmetric = 1000 }
";
    let written = written(&format!("{LEAST}{}", text.replace('\n', "\nbackend.").trim_end_matches("backend.")));
    let Settings { upstreams, timeouts, connections, look_ups, share } =
        forwarded(Config::load(&written.file).unwrap());
    let url = "https://kms.test:8443".parse().unwrap();
    let role = Role {
        arn: "arn:aws:iam::111122223333:role/path/kmsgate".into(),
        session_name: "one@kms.test".into(),
        external_id: Some("urn:example/7".into()),
    };
    let endpoint = EndpointSettings::Url { url, ca_file: Some(written.file) };
    let expected = UpstreamSettings { endpoint, role: Some(role), ..of_aws("us-east-1", "111122223333") };
    assert_eq!(upstreams, [expected]);
    let milliseconds = Duration::from_millis;
    let (connect, first_byte, call) = (milliseconds(1), milliseconds(2), milliseconds(3));
    assert_eq!(timeouts, Timeouts { connect, first_byte, call });
    let (idle_timeout, absent_lifetime) = (Duration::ZERO, milliseconds(4));
    assert_eq!(connections, ConnectionSettings { idle_timeout, warm: 7, most_idle: 8, most: 9 });
    assert_eq!(look_ups, LookUpSettings { lifetime: Duration::ZERO, absent_lifetime, entries: 5 });
    let replicas = Replicas::Fixed(NonZeroU32::new(6).unwrap());
    assert_eq!(share, ShareSettings { percent: 50, per_second: vec![(UpstreamQuota::Symmetric, 1000)], replicas });
}

#[test]
fn an_endpoint_is_of_aws_or_a_url_of_your_own() {
    let endpoint = |line: &str| settings(line).upstreams.remove(0).endpoint;
    let aws = |fips, dual_stack| EndpointSettings::Aws { fips, dual_stack };
    assert_eq!(endpoint("backend.fips = true"), aws(true, false));
    assert_eq!(endpoint("backend.dual_stack = true\nbackend.fips = true"), aws(true, true));
    for url in [
        "https://vpce-1.kms.us-east-1.vpce.amazonaws.com",
        "https://kms.test/",
        "https://[2001:db8::1]:8443",
        "http://127.0.0.1:4566",
        "http://[::1]:80",
        "http://LocalHost:4566",
    ] {
        let expected = EndpointSettings::Url { url: url.parse().unwrap(), ca_file: None };
        assert_eq!(endpoint(&format!("backend.endpoint_url = '{url}'\nbackend.fips = false")), expected);
    }
}

#[test]
fn a_url_that_requests_cannot_be_sent_to_is_told_by_what_is_wrong_with_it() {
    for (url, says) in [
        ("", "is no URL"),
        ("https://", "is no URL"),
        ("https://kms test", "is no URL"),
        ("/", "has no host"),
        ("https://:443", "has no host"),
        ("kms.test", "does not begin with https://"),
        ("ftp://kms.test", "does not begin with https://"),
        ("http://kms.test", "without TLS"),
        ("http://192.0.2.1:4566", "without TLS"),
        ("http://127.0.0.1.kms.test", "without TLS"),
        ("http://localhost.kms.test", "without TLS"),
        ("https://u@kms.test", "a user or a password"),
        ("https://u:hunter2@kms.test", "a user or a password"),
        ("https://kms.test/path", "a path or a query"),
        ("https://kms.test/?q", "a path or a query"),
        ("https://kms.test?q", "a path or a query"),
        ("https://kms.test:0", "a port"),
        ("https://kms.test:", "a port"),
        ("https://kms.test:65536", "a port"),
    ] {
        let (path, message, hint) = fault(&format!("backend.endpoint_url = '{url}'"));
        assert_eq!((path.as_str(), hint.as_str()), ("backend.endpoint_url", "write https://HOST or https://HOST:PORT"));
        assert!(message.contains(says) && !message.contains("hunter2"), "{url}: {message}");
    }
    assert_eq!(fault("backend.endpoint_url = 7").0, "backend.endpoint_url");
}

#[test]
fn settings_of_an_endpoint_that_do_not_go_together_are_faults() {
    let own = "endpoint_url = 'https://kms.test'";
    assert_faults(&[
        (&format!("{own}\nbackend.fips = true"), "fips", "cannot be combined with endpoint_url", "in endpoint_url"),
        (
            &format!("{own}\nbackend.dual_stack = true"),
            "dual_stack",
            "cannot be combined with endpoint_url",
            "in endpoint_url",
        ),
        ("ca_file = 'kmsgate.toml'", "ca_file", "is for an endpoint_url", "take it out"),
        (&format!("{own}\nbackend.ca_file = 'absent.pem'"), "ca_file", "absent.pem` is no file", "PEM"),
        (&format!("{own}\nbackend.ca_file = '.'"), "ca_file", "is no file", "PEM"),
        ("fips = 'yes'", "fips", "is text", ""),
    ]);
}

#[test]
fn a_role_and_its_session_are_such_as_sts_takes() {
    let role = "role_arn = 'arn:aws:iam::111122223333:role/kmsgate'";
    let long = "x".repeat(65);
    for arn in [
        "kmsgate",
        "arn:aws:iam::111122223333:user/kmsgate",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/path/",
        "arn:aws:iam::1111:role/kmsgate",
        "arn:aws:sts::111122223333:assumed-role/kmsgate/one",
    ] {
        let hint = "write arn:aws:iam::111122223333:role/NAME";
        assert_faults(&[(&format!("role_arn = '{arn}'"), "role_arn", "is no role's ARN", hint)]);
    }
    assert_faults(&[
        ("role_arn = 7", "role_arn", "is a whole number", ""),
        ("role_session_name = 'one'", "role_session_name", "is for a role, and there is none", "role_arn = "),
        ("role_external_id = 'one'", "role_external_id", "is for a role, and there is none", "role_arn = "),
        (&format!("{role}\nbackend.role_session_name = 'x'"), "role_session_name", "STS", "2 to 64"),
        (&format!("{role}\nbackend.role_session_name = '{long}'"), "role_session_name", "STS", "2 to 64"),
        (&format!("{role}\nbackend.role_session_name = 'a b'"), "role_session_name", "STS", "2 to 64"),
        (&format!("{role}\nbackend.role_external_id = ''"), "role_external_id", "STS", "2 to 1224"),
    ]);
    let of = |line: &str| settings(line).upstreams.remove(0).role.unwrap();
    assert_eq!(
        (of(&format!("backend.{role}")).session_name.as_ref(), of(&format!("backend.{role}")).external_id),
        ("kmsgate", None)
    );
}

#[test]
fn times_and_numbers_have_their_bounds() {
    assert_faults(&[
        ("connect_timeout_ms = 0", "connect_timeout_ms", "0 is out of bounds", "from 1 to 60000"),
        ("first_byte_timeout_ms = 60001", "first_byte_timeout_ms", "out of bounds", "60000"),
        ("call_timeout_ms = '1'", "call_timeout_ms", "is text", ""),
        ("idle_timeout_ms = -1", "idle_timeout_ms", "out of bounds", "from 0"),
        ("max_connections = 0", "max_connections", "out of bounds", "from 1"),
        ("look_ups.entries = 0", "look_ups.entries", "out of bounds", "from 1"),
        ("look_ups.lifetimes_ms = 1", "look_ups.lifetimes_ms", "unknown key", "did you mean `lifetime_ms`?"),
        ("quota.percent = 0", "quota.percent", "out of bounds", "from 1 to 100"),
        ("quota.percent = 101", "quota.percent", "out of bounds", "from 1 to 100"),
        ("quota.replicas = 0", "quota.replicas", "out of bounds", "from 1"),
        ("quota.per_second.symmetric = 0", "quota.per_second.symmetric", "out of bounds", "from 1"),
        ("quota.per_second.symetric = 1", "quota.per_second.symetric", "unknown key", "did you mean `symmetric`?"),
        ("data_dir = 'data'", "data_dir", "unknown key", ""),
    ]);
    let connections = settings("backend.max_connections = 1\nbackend.warm_connections = 5").connections;
    assert_eq!((connections.warm, connections.most), (1, 1), "no more are made than there may be");
}

#[test]
fn replicas_are_a_number_or_a_service_that_counts_them() {
    let of = |line: &str| settings(&format!("backend.quota.{line}")).share.replicas;
    assert_eq!(of("replicas = 3"), Replicas::Fixed(NonZeroU32::new(3).unwrap()));
    for service in ["kmsgate-pods.kmsgate.svc:8700", "[2001:db8::1]:1"] {
        assert_eq!(of(&format!("replicas_service = '{service}'")), Replicas::Service(service.into()));
    }
    let form = "NAME.NAMESPACE.svc:8700";
    assert_faults(&[
        ("quota.replicas_service = 'pods'", "quota.replicas_service", "`pods` is no name and port", form),
        ("quota.replicas_service = ':8700'", "quota.replicas_service", "is no name and port", form),
        ("quota.replicas_service = 'pods:http'", "quota.replicas_service", "is no name and port", form),
        ("quota = { replicas = 2, replicas_service = 'pods:1' }", "quota.replicas", "cannot be combined", "Service"),
    ]);
}

#[test]
fn each_region_and_account_has_one_upstream_the_gateways_own_first() {
    let replicas = "replica_regions = ['eu-west-1', 'ap-south-1']\n";
    let tables = format!(
        "\n[[backend.upstreams]]\naccount = '{OTHER}'\nrole_arn = 'arn:aws:iam::{OTHER}:role/kmsgate'\n
[[backend.upstreams]]\nregion = 'eu-west-1'\nfips = true\n"
    );
    let config = loaded(&format!("{replicas}{LEAST}{tables}")).unwrap();
    let upstreams = forwarded(config).upstreams;
    let named: Vec<_> = upstreams.iter().map(|one| (one.region.as_str(), one.account.to_string())).collect();
    let own = |region| (region, "111122223333".to_owned());
    assert_eq!(named[0], own("us-east-1"));
    assert_eq!(named.len(), 4, "{named:?}");
    for expected in [own("eu-west-1"), own("ap-south-1"), ("us-east-1", OTHER.to_owned())] {
        assert!(named.contains(&expected), "{named:?}");
    }
    let with = |wanted: &dyn Fn(&UpstreamSettings) -> bool| upstreams.iter().filter(|one| wanted(one)).count();
    assert_eq!(with(&|one| one.role.is_some()), 1, "a role is for its table alone");
    assert_eq!(with(&|one| one.endpoint == EndpointSettings::Aws { fips: true, dual_stack: false }), 1);
}

#[test]
fn faults_of_a_table_have_its_place() {
    for (tables, path, says, hint) in [
        ("region = 'eu-west-1'\n", "[0].region", "`eu-west-1` is not served", "replica_regions"),
        ("region = 'Mars'\n", "[0].region", "`Mars` is refused", "us-east-1"),
        ("account = '1111'\n", "[0].account", "`1111` is refused", "12 digits"),
        ("role_session_name = 'one'\n", "[0].role_session_name", "is for a role", "role_arn"),
        ("endpoint_url = 'http://kms.test'\n", "[0].endpoint_url", "without TLS", "https://"),
        ("call_timeout_ms = 1\n", "[0].call_timeout_ms", "unknown key", "known here"),
        ("[[backend.upstreams]]\n", "[1]", "account 111122223333 in us-east-1 has two upstreams", "each account"),
    ] {
        let faults = loaded(&format!("{LEAST}[[backend.upstreams]]\n{tables}")).expect_err(tables);
        let [fault] = faults.as_slice() else { panic!("{tables}: {faults}") };
        assert_eq!(
            (fault.path.as_str(), fault.line),
            (format!("backend.upstreams{path}").as_str(), Some(6)),
            "{fault}"
        );
        assert!(fault.message.contains(says) && fault.hint.as_ref().unwrap().contains(hint), "{fault}");
    }
    assert_faults(&[("upstreams = 'all'", "upstreams", "is text", "")]);
}

#[test]
fn an_endpoint_of_your_own_is_of_one_region() {
    let with = |more: &str| {
        let head = "replica_regions = ['eu-west-1']\n";
        loaded(&format!("{head}{LEAST}backend.endpoint_url = 'https://kms.test'\n{more}"))
    };
    let faults = with("").unwrap_err();
    let [fault] = faults.as_slice() else { panic!("{faults}") };
    assert_eq!(fault.path, "backend.endpoint_url");
    assert!(fault.message.contains("`eu-west-1` is served too"), "{fault}");
    let table = "[[backend.upstreams]]\nregion = 'eu-west-1'\n";
    assert_eq!(forwarded(with(table).unwrap()).upstreams[1], of_aws("eu-west-1", "111122223333"));
}

#[test]
fn the_account_is_that_of_the_file_or_of_the_role_or_of_all_principals() {
    let role = |account: &str| format!("backend.role_arn = 'arn:aws:iam::{account}:role/kmsgate'\n");
    let account = |text: &str| loaded(&format!("{text}{LEAST}")).unwrap().account.to_string();
    assert_eq!(account(""), "111122223333");
    let with_role = |head: &str, account| loaded(&format!("{head}{LEAST}{}", role(account))).unwrap();
    assert_eq!(with_role("", OTHER).account.to_string(), OTHER);
    let config = with_role(&format!("account = '{OTHER}'\n"), "111122223333");
    assert_eq!(config.account.to_string(), OTHER);
    // Whoever is not of the account that is named is warned of; who is of the one it was taken from is not.
    assert_eq!((config.warnings.len(), loaded(LEAST).unwrap().warnings.len()), (2, 1));
}

#[test]
fn an_account_that_cannot_be_told_is_a_fault() {
    let written = written(LEAST);
    let fault_with = |credentials: &str| {
        let file = written.directory.path().join("credentials.toml");
        std::fs::remove_file(&file).unwrap();
        private_file::write_new(&file, credentials.as_bytes()).unwrap();
        let faults = Config::load(&written.file).unwrap_err();
        let [fault] = faults.as_slice() else { panic!("{faults}") };
        assert!(fault.hint.as_ref().unwrap().contains("account = "), "{fault}");
        (fault.path.clone(), fault.message.clone())
    };
    let second = CREDENTIALS.replace("111122223333", OTHER).replace("AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE");
    let of_two = fault_with(&format!("{CREDENTIALS}{second}"));
    assert_eq!(of_two, ("account".to_owned(), "is missing, and the principals are not of one".to_owned()));
    let of_none = fault_with("");
    assert_eq!(of_none, ("account".to_owned(), "is missing, and there is no principal to take it from".to_owned()));
}

#[test]
fn faults_are_found_whatever_is_missing_around_them() {
    let of = |text: &str| {
        let mut paths: Vec<_> = loaded(text).unwrap_err().as_slice().iter().map(|fault| fault.path.clone()).collect();
        paths.sort();
        paths
    };
    let least = LEAST.replace("region = 'us-east-1'", "");
    let more = "backend.fips = 1\nbackend.quota.percent = 0\n[[backend.upstreams]]\nregion = 'Mars'\nrole_arn = 'x'\n";
    let expected =
        ["backend.fips", "backend.quota.percent", "backend.upstreams[0].region", "backend.upstreams[0].role_arn"];
    let with = |others: &[&str]| {
        let mut all: Vec<_> = expected.iter().chain(others).map(|path| (*path).to_owned()).collect();
        all.sort();
        all
    };
    assert_eq!(of(&format!("{least}{more}")), with(&["region"]));
    assert_eq!(of(&format!("account = 'x'\n{LEAST}{more}")), with(&["account"]));
    // An account is not missed as well where the role that it would be taken from is at fault.
    let role = "backend.role_arn = 'x'\nbackend.role_session_name = ' '\n";
    assert_eq!(of(&format!("{LEAST}{role}{more}")), with(&["backend.role_arn", "backend.role_session_name"]));
    // Nor are the faults of an embedded store lost.
    let local = "account = '111122223333'\nbackend = { kind = 'local', fips = true }\n";
    assert_eq!(
        of(&format!("{local}auth = {{ credentials_file = 'credentials.toml' }}\n")),
        ["backend.data_dir", "backend.fips", "region"]
    );
}

#[test]
fn a_setting_of_grants_is_for_the_backend_that_knows_it() {
    assert!(loaded(&format!("{LEAST}[grants]\nforward_foreign = true\n")).unwrap().grants.forward_foreign);
    let faults = loaded(&format!("{LEAST}[grants]\npropagation_delay_ms = 1\n")).unwrap_err();
    let [fault] = faults.as_slice() else { panic!("{faults}") };
    assert_eq!((fault.path.as_str(), fault.line), ("grants.propagation_delay_ms", Some(6)));
    assert_eq!(fault.message, "means nothing to the aws backend");
    let (path, text) = fault_of("[grants]\nforward_foreign = true\n");
    assert_eq!(path, "grants.forward_foreign");
    assert!(text.contains("means nothing to the local backend"), "{text}");
}

#[test]
fn a_backend_that_is_none_is_told_which_there_are() {
    for (kind, says) in [("", "is missing"), ("kind = 'gcp'", "`gcp` is no backend"), ("kind = 7", "a whole number")] {
        let text = LEAST.replace("backend.kind = 'aws'", &format!("account = '111122223333'\nbackend = {{ {kind} }}"));
        let faults = loaded(&text).unwrap_err();
        let [fault] = faults.as_slice() else { panic!("{faults}") };
        assert_eq!(fault.path, "backend.kind");
        assert!(fault.message.contains(says), "{fault}");
    }
}

/// `config/aws.toml` as `change` has it.
fn example(change: impl FnOnce(&str) -> String) -> Result<Config, Faults> {
    let directory = shipped();
    let file = directory.path().join("config/aws.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, change(&text)).unwrap();
    let mut config = Config::load(&file)?;
    config.auth.credentials_file = PathBuf::from(config.auth.credentials_file.file_name().unwrap());
    config.policies.directory = None;
    Ok(config)
}

#[test]
fn the_example_needs_no_more_than_a_region() {
    let config = example(str::to_owned).unwrap();
    assert_eq!(config.warnings, []);
    let kept: Vec<_> = include_str!("../../../config/aws.toml")
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(" = "))
        .map(|line| line.split(" = ").next().unwrap())
        .collect();
    assert_eq!(kept, ["region", "kind", "credentials_file", "directory"]);
    let least = loaded(LEAST).unwrap();
    assert_eq!((config.account, config.grants), (least.account, least.grants));
    assert_eq!(forwarded(config), forwarded(least));
}

#[test]
fn what_the_example_of_forwarding_has_commented_out_is_the_default() {
    let text = include_str!("../../../config/aws.toml");
    let lines = commented(text);
    let line_of = |key: &str| {
        let found: Vec<_> =
            lines.iter().filter(|line| line.section == "backend" && line.key == key).map(|line| line.line).collect();
        assert_eq!(found.len(), 1, "{key}");
        found[0]
    };
    let without = |line: &str, others: &[&str]| {
        let text =
            others.iter().chain([&line]).fold(text.to_owned(), |text, line| text.replacen(line, uncommented(line), 1));
        example(|_| text).unwrap_or_else(|faults| panic!("`{line}`: {faults}"))
    };
    let default = settings_of(&example(str::to_owned).unwrap());
    let mut compared = 0;
    for Commented { section, key, line } in &lines {
        let (endpoint_url, role_arn) = (line_of("endpoint_url"), line_of("role_arn"));
        match (*section, *key) {
            // Those without a default.
            ("backend", "endpoint_url") => {
                let upstreams = forwarded(without(line, &[])).upstreams;
                assert!(matches!(upstreams[0].endpoint, EndpointSettings::Url { .. }));
            }
            // It is to be there.
            ("backend", "ca_file") => {
                let faults = example(|text| {
                    [endpoint_url, line]
                        .iter()
                        .fold(text.to_owned(), |text, line| text.replacen(line, uncommented(line), 1))
                });
                assert_eq!(faults.unwrap_err().as_slice()[0].path, "backend.ca_file");
            }
            ("backend", "role_arn") => {
                let role = forwarded(without(line, &[])).upstreams.remove(0).role.unwrap();
                assert_eq!((role.session_name.as_ref(), role.external_id), ("kmsgate", None));
            }
            ("backend", "role_session_name") => {
                assert_eq!(settings_of(&without(line, &[role_arn])), settings_of(&without(role_arn, &[])));
                compared += 1;
            }
            ("backend", "role_external_id") => {
                let role = forwarded(without(line, &[role_arn])).upstreams.remove(0).role.unwrap();
                assert!(role.external_id.is_some());
            }
            ("backend.quota", "replicas_service") => {
                assert!(matches!(forwarded(without(line, &[])).share.replicas, Replicas::Service(_)));
            }
            // A quota is AWS's until another is given.
            ("backend.quota", "per_second.symmetric") => {
                let region = "us-east-1".parse().unwrap();
                let of_aws = UpstreamQuota::Symmetric.default_per_second(&region);
                assert_eq!(forwarded(without(line, &[])).share.per_second, [(UpstreamQuota::Symmetric, of_aws)]);
            }
            ("backend.upstreams", _) => {}
            _ => {
                assert_eq!(settings_of(&without(line, &[])), default, "{line}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 17, "only {compared} lines of the example were understood");
}

/// All that the file sets, but for the credentials.
fn settings_of(config: &Config) -> String {
    let Config { regions, account, backend, auth, grants, .. } = config;
    format!("{:#?}", (regions, account, backend, auth, grants))
}

#[test]
fn the_examples_table_for_another_account_is_an_upstream() {
    let text = include_str!("../../../config/aws.toml");
    let block = text.split("\n\n").find(|block| block.contains("# [[backend.upstreams]]")).unwrap();
    let table = block.lines().filter(|line| line.starts_with("# [[") || line.contains(" = ")).map(uncommented);
    let table: String = table.flat_map(|line| [line, "\n"]).collect();
    let upstreams = forwarded(example(|text| text.replace(block, &table)).unwrap()).upstreams;
    let role = upstreams[1].role.as_ref().unwrap();
    assert_eq!((upstreams[1].account.to_string().as_str(), role.arn.contains(OTHER)), (OTHER, true));
    assert_eq!(upstreams.len(), 2);
}

#[test]
fn every_setting_of_the_program_is_in_the_example() {
    let text = include_str!("../../../config/aws.toml");
    let faults = example(|text| text.replace("kind = \"aws\"", "kind = \"aws\"\nqqqqqqqqqqqq = 1")).unwrap_err();
    let [fault] = faults.as_slice() else { panic!("{faults}") };
    let known = fault.hint.as_ref().unwrap().strip_prefix("known here: ").unwrap();
    for key in known.split(", ") {
        assert!(text.contains(&format!("{key} = ")) || text.contains(&format!("[backend.{key}]")), "{key}");
    }
}
