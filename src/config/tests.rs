//! Every fault with its place, defaults, and what the files of `config/` say.

use super::*;
use crate::audit::Durability;
use crate::private_file;

mod forwarding;

/// A directory with a configuration in it.
struct Written {
    directory: tempfile::TempDir,
    file: PathBuf,
}

fn written(text: &str) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kmsgate.toml");
    std::fs::write(&file, text).unwrap();
    private_file::write_new(&directory.path().join("credentials.toml"), CREDENTIALS.as_bytes()).unwrap();
    Written { directory, file }
}

// AWS's documented example key.
const CREDENTIALS: &str = "[[principals]]\narn = 'arn:aws:iam::111122223333:user/orders'\n
[[principals.access_keys]]\nid = 'AKIAIOSFODNN7EXAMPLE'\nsecret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'\n";

const LEAST: &str = r#"
region = "us-east-1"
account = "111122223333"
backend = { kind = "local", data_dir = "data" }
auth = { credentials_file = "credentials.toml" }
"#;

fn loaded(text: &str) -> Result<Config, Faults> {
    Config::load(&written(text).file)
}

fn faults_of(text: &str) -> Vec<(Option<usize>, String, String)> {
    let faults = loaded(text).expect_err("faults");
    faults.as_slice().iter().map(|fault| (fault.line, fault.path.clone(), fault.to_string())).collect()
}

/// The one fault of the least configuration and `more`.
fn fault_of(more: &str) -> (String, String) {
    let mut faults = faults_of(&format!("{LEAST}{more}"));
    assert_eq!(faults.len(), 1, "{faults:#?}");
    let (_, path, text) = faults.remove(0);
    (path, text)
}

#[test]
fn the_least_configuration_has_the_defaults_of_the_design() {
    let written = written(LEAST);
    let config = Config::load(&written.file).unwrap();
    assert_eq!(config.listen.address, "127.0.0.1:8700".parse().unwrap());
    assert_eq!(config.admin, "127.0.0.1:8701".parse().unwrap());
    let Audit { file, stdout, required, durability, .. } = &config.audit;
    assert_eq!((file, *stdout, *required), (&None, Some(Content::Records), SinkName::Stdout));
    assert_eq!(*durability, Durability::Written);
    assert_eq!(config.audit.unauthenticated_per_second.get(), 10);
    assert_eq!(config.limits, Quotas::default());
    let server = &config.server;
    assert_eq!(server.head_read_timeout.as_secs(), 5);
    assert_eq!(server.body_read_timeout.as_secs(), 10);
    assert_eq!(server.idle_timeout.as_secs(), 120);
    assert_eq!(server.drain_timeout.as_secs(), 15);
    assert_eq!((server.max_connections, server.max_connections_per_peer), (10_000, 2_500));
    assert_eq!(server.max_in_flight, 4096);
    assert_eq!(server.max_body_bytes_held, 16 * 1024 * 1024);
    assert!(!config.auth.uniform_errors);
    assert_eq!(config.policies, PolicySettings::default());
    assert!(config.guardrail.is_none() && !config.policies.accept_unknown_principals);
    assert!(config.grants.propagation_delay.is_zero());
    let data_dir = written.directory.path().join("data");
    let root_key_file = data_dir.join("root.key");
    assert_eq!(config.backend, Backend::Local { data_dir, root_key_file });
}

#[test]
fn ten_faults_are_ten_reports() {
    let text = r#"
regin = "us-east-1"
account = "1111"
[listen]
address = "localhost"
[admin]
port = 8701
[backend]
kind = "lokal"
data_dir = "data"
[auth]
credentials_file = ""
uniform_errors = "yes"
[audit]
file = "none/such/audit.log"
[limits.principal]
per_second = 0
[server]
workers = 0
"#;
    let found = faults_of(text);
    let places: Vec<_> = found.iter().map(|(line, path, _)| (line.unwrap_or_default(), path.as_str())).collect();
    for expected in [
        (0, "region"),
        (2, "regin"),
        (3, "account"),
        (5, "listen.address"),
        (7, "admin.port"),
        (9, "backend.kind"),
        (12, "auth.credentials_file"),
        (13, "auth.uniform_errors"),
        (15, "audit.file"),
        (17, "limits.principal.per_second"),
        (19, "server.workers"),
    ] {
        assert!(places.contains(&expected), "{expected:?} is not in {found:#?}");
    }
    assert_eq!(found.len(), 11, "{found:#?}");
}

#[test]
fn a_listener_that_others_reach_needs_tls_or_a_word_of_danger() {
    let (path, text) = fault_of("[listen]\naddress = '192.0.2.1:8700'\n");
    assert_eq!(path, "listen.address");
    assert!(text.contains("danger_plaintext_listener"), "{text}");
    assert!(
        loaded(&format!("{LEAST}[listen]\naddress = '192.0.2.1:8700'\ndanger_plaintext_listener = true\n")).is_ok()
    );
    assert!(loaded(&format!("{LEAST}[listen]\naddress = '[::1]:8700'\n")).is_ok());
}

#[test]
fn a_listener_on_every_address_needs_its_names() {
    let wildcard = "[listen]\naddress = '0.0.0.0:8700'\ndanger_plaintext_listener = true\n";
    assert_eq!(fault_of(wildcard).0, "listen.accepted_hosts");
    assert!(loaded(&format!("{LEAST}{wildcard}accepted_hosts = ['kms.internal:8700']\n")).is_ok());
}

#[test]
fn two_listeners_on_one_port_clash() {
    for admin in ["127.0.0.1:8700", "0.0.0.0:8700", "[::]:8700"] {
        assert_eq!(fault_of(&format!("[admin]\naddress = '{admin}'\n")).0, "admin.address", "{admin}");
    }
    for admin in ["127.0.0.2:8700", "127.0.0.1:8702"] {
        assert!(loaded(&format!("{LEAST}[admin]\naddress = '{admin}'\n")).is_ok(), "{admin}");
    }
    let both_free = "[listen]\naddress = '127.0.0.1:0'\n[admin]\naddress = '127.0.0.1:0'\n";
    assert!(loaded(&format!("{LEAST}{both_free}")).is_ok());
}

#[test]
fn the_default_names_are_the_bound_address_and_that_of_kms() {
    let config = loaded(LEAST).unwrap();
    let hosts = config.listen.accepted_hosts("127.0.0.1:4711".parse().unwrap(), &config.regions);
    assert_eq!(hosts, ["127.0.0.1:4711", "kms.us-east-1.amazonaws.com", "localhost:4711"]);
    let config = loaded(&format!("{LEAST}[listen]\naccepted_hosts = ['kms.internal']\n")).unwrap();
    assert_eq!(config.listen.accepted_hosts("127.0.0.1:4711".parse().unwrap(), &config.regions), ["kms.internal"]);
}

#[test]
fn each_region_has_its_name_of_kms() {
    let config = loaded(&format!("replica_regions = ['eu-west-1', 'ap-south-1']\n{LEAST}")).unwrap();
    let hosts = config.listen.accepted_hosts("192.0.2.1:8700".parse().unwrap(), &config.regions);
    assert_eq!(
        hosts,
        [
            "192.0.2.1:8700",
            "kms.us-east-1.amazonaws.com",
            "kms.eu-west-1.amazonaws.com",
            "kms.ap-south-1.amazonaws.com"
        ]
    );
    assert_eq!(loaded(LEAST).unwrap().regions.all().len(), 1);
}

#[test]
fn what_is_wrong_with_each_replica_region_is_told() {
    let list = "['eu-west-1', 'us-east-1', 'Mars', 'eu-west-1', 'cn-north-1', 7]";
    let faults = loaded(&format!("replica_regions = {list}\n{LEAST}")).expect_err("faults");
    let found: Vec<_> = faults.as_slice().iter().map(|fault| (fault.path.as_str(), fault.message.as_str())).collect();
    let mut expected = [
        ("replica_regions[5]", "is a whole number"),
        ("replica_regions[1]", "`us-east-1` is refused: it is the gateway's own region"),
        ("replica_regions[2]", "`Mars` is refused: a region is written like `us-east-1`"),
        ("replica_regions[3]", "`eu-west-1` is refused: it is named twice"),
        ("replica_regions[4]", "`cn-north-1` is refused: it is in another partition than the gateway's own region"),
    ];
    let mut found = found;
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(faults.as_slice().iter().all(|fault| fault.hint.is_some() && fault.line == Some(1)), "{faults}");
    // Malformed ones are told too where there is no `region` to hold them to.
    let faults = loaded(&format!("replica_regions = ['Mars']\n{}", LEAST.replace("us-east-1", "Venus")));
    let paths: Vec<_> = faults.expect_err("faults").as_slice().iter().map(|fault| fault.path.clone()).collect();
    assert_eq!(paths, ["region", "replica_regions[0]"]);
    let faults = loaded(&format!("replica_regions = 'eu-west-1'\n{LEAST}")).expect_err("a fault");
    assert_eq!(faults.as_slice()[0].path, "replica_regions");
}

#[test]
fn the_port_of_the_scheme_may_be_left_out_of_the_default_names() {
    let config = loaded(LEAST).unwrap();
    let hosts = |bound: &str| config.listen.accepted_hosts(bound.parse().unwrap(), &config.regions);
    let plain = hosts("127.0.0.1:80");
    assert!(["127.0.0.1:80", "127.0.0.1", "localhost"].iter().all(|host| plain.contains(&(*host).to_owned())));
    assert!(!hosts("127.0.0.1:443").contains(&"127.0.0.1".to_owned()), "443 is the port of https alone");
    assert!(hosts("[::1]:80").contains(&"[::1]".to_owned()));
}

#[test]
fn certificate_and_key_must_be_there_and_fit() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let written = written(&format!("{LEAST}[listen.tls]\ncertificate_file = 'cert.pem'\nkey_file = 'key.pem'\n"));
    let write = |name: &str, text: &str| std::fs::write(written.directory.path().join(name), text).unwrap();
    let paths = || {
        let faults = Config::load(&written.file).expect_err("faults");
        faults.as_slice().iter().map(|fault| fault.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(paths(), ["listen.tls.certificate_file", "listen.tls.key_file"]);
    write("cert.pem", "no PEM");
    write("key.pem", &signed.signing_key.serialize_pem());
    assert_eq!(paths(), ["listen.tls.certificate_file"]);
    write("cert.pem", &signed.cert.pem());
    assert!(Config::load(&written.file).unwrap().listen.tls.is_some());
    write("key.pem", &other.signing_key.serialize_pem());
    assert_eq!(paths(), ["listen.tls.key_file"]);
}

#[test]
fn quotas_are_read_and_a_burst_defaults_to_a_second() {
    let text =
        "[limits.key]\nper_second = 10\n[limits.classes.symmetric]\nper_second = 5\nburst = 7\nmax_wait_ms = 20\n";
    let limits = loaded(&format!("{LEAST}{text}")).unwrap().limits;
    let key = limits.key.unwrap();
    assert_eq!((key.per_second.get(), key.burst.get(), key.max_wait.as_millis()), (10, 10, 0));
    let (class, quota) = limits.classes[0];
    assert_eq!((class.name(), quota.burst.get(), quota.max_wait.as_millis()), ("symmetric", 7, 20));
    assert_eq!(limits.principal, None);
    assert_eq!(fault_of("[limits.classes.symetric]\nper_second = 1\n").0, "limits.classes.symetric");
    assert_eq!(fault_of("[limits.gateway]\nburst = 1\n").0, "limits.gateway.per_second");
    assert_eq!(fault_of("[limits.gateway]\nper_second = 1\nmax_wait_ms = 1001\n").0, "limits.gateway.max_wait_ms");
}

#[test]
fn bounds_of_the_server_must_fit_together() {
    assert_eq!(fault_of("[server]\nrequest_timeout_ms = 9999\n").0, "server.request_timeout_ms");
    assert_eq!(
        fault_of("[server]\nmax_in_flight = 10\nmax_in_flight_per_peer = 11\n").0,
        "server.max_in_flight_per_peer"
    );
    assert_eq!(
        fault_of("[server]\nmax_connections = 10\nmax_connections_per_peer = 11\n").0,
        "server.max_connections_per_peer"
    );
    assert_eq!(fault_of("[server]\nmax_connections = 0\n").0, "server.max_connections");
    let server = loaded(&format!("{LEAST}[server]\nmax_connections = 10\n")).unwrap().server;
    assert_eq!(server.max_connections_per_peer, 3, "a quarter of what all may have");
    assert_eq!(fault_of("[server]\nmax_body_bytes_held = 1048575\n").0, "server.max_body_bytes_held");
    let server =
        loaded(&format!("{LEAST}[server]\nmax_in_flight = 10\nmax_body_bytes_held = 1048576\n")).unwrap().server;
    assert_eq!((server.max_in_flight_per_peer, server.max_body_bytes_held_per_peer), (3, 1_048_576));
}

#[test]
fn a_missing_file_is_a_fault_that_names_it() {
    let faults = Config::load(Path::new("/nonexistent/kmsgate.toml")).unwrap_err();
    assert!(faults.to_string().starts_with("/nonexistent/kmsgate.toml: cannot be read"), "{faults}");
}

/// Writes a directory of policies beside the configuration, and a credentials file whose principal names `policies`.
fn with_policies(documents: &[(&str, &str)], policies: &str) -> Result<Config, Faults> {
    let written = written(&format!("{LEAST}policies = {{ directory = \"policies\" }}\n"));
    let directory = written.directory.path().join("policies");
    std::fs::create_dir(&directory).unwrap();
    for (name, document) in documents {
        std::fs::write(directory.join(name), document).unwrap();
    }
    let credentials = written.directory.path().join("credentials.toml");
    std::fs::write(credentials, CREDENTIALS.replacen('\n', &format!("\npolicies = {policies}\n"), 1)).unwrap();
    Config::load(&written.file)
}

const READ: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:List*","Resource":"*"}}"#;

#[test]
fn a_principal_has_the_policies_that_it_names() {
    let config = with_policies(&[("read.json", READ), ("more.json", READ), ("notes.txt", "")], "['read']").unwrap();
    let key = config.credentials.get("AKIAIOSFODNN7EXAMPLE").unwrap();
    let names: Vec<_> = key.principal.policies.iter().map(|policy| policy.name()).collect();
    assert_eq!((names.as_slice(), config.warnings.len()), (["read"].as_slice(), 0));
}

#[test]
fn faults_of_policies_and_of_their_names_are_found_with_the_others() {
    let broken = r#"{"Version":"2012-10-17","Statement":{"Effect":"allow","Action":"kms:*","Resource":"*"}}"#;
    let faults = with_policies(&[("read.json", READ), ("broken.json", broken)], "['raed', 'broken']").unwrap_err();
    let told: Vec<_> = faults.as_slice().iter().map(|fault| (fault.path.as_str(), fault.message.as_str())).collect();
    assert_eq!(told.len(), 2, "{faults}");
    assert_eq!(told[0].0, "Statement.Effect", "{faults}");
    assert_eq!(told[1], ("principals[0].policies[0]", "there is no policy `raed`"));
    assert_eq!(faults.as_slice()[1].hint.as_deref(), Some("did you mean `read`?"));
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let config = with_policies(&[("read.json", &READ.replace("List*", "ListKey"))], "['read']").unwrap();
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
}

/// A configuration with policies `read` and `nothing`, `more` of `[policies]`, and a principal of that ARN with `lines`.
fn limited(more: &str, arn: &str, lines: &str) -> Result<Config, Faults> {
    let written = written(&format!("{LEAST}[policies]\ndirectory = 'policies'\n{more}\n"));
    let directory = written.directory.path().join("policies");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("read.json"), READ).unwrap();
    std::fs::write(directory.join("nothing.json"), READ.replace("Allow", "Deny")).unwrap();
    let principal = format!("{arn}'\npolicies = ['read']\n{lines}\n");
    let credentials = CREDENTIALS.replacen("arn:aws:iam::111122223333:user/orders'\n", &principal, 1);
    std::fs::write(written.directory.path().join("credentials.toml"), credentials).unwrap();
    Config::load(&written.file)
}

const USER: &str = "arn:aws:iam::111122223333:user/orders";
const ROLE: &str = "arn:aws:iam::111122223333:role/orders";

#[test]
fn a_principal_has_the_limits_that_it_names() {
    let lines = "boundary = 'read'\nsession_policy = 'nothing'";
    let config =
        limited("guardrail_file = 'policies/read.json'\naccept_unknown_principals = true", ROLE, lines).unwrap();
    let principal = &config.credentials.get("AKIAIOSFODNN7EXAMPLE").unwrap().principal;
    let name = |policy: &Option<Arc<Compiled>>| policy.as_ref().map(|policy| policy.name().to_owned());
    assert_eq!(name(&config.guardrail).as_deref(), Some("read"));
    assert_eq!(name(&principal.boundary).as_deref(), Some("read"));
    assert_eq!(name(&principal.session_policy).as_deref(), Some("nothing"));
    assert!(config.policies.accept_unknown_principals);
    assert_eq!((principal.danger_report_only_until, config.warnings), (None, Vec::new()));
}

#[test]
fn what_is_wrong_with_a_limit_is_told() {
    for (arn, lines, path, message, hint) in [
        (USER, "boundary = 'raed'", "boundary", "there is no policy `raed`", "did you mean `read`?"),
        (ROLE, "session_policy = 'nothin'", "session_policy", "there is no policy `nothin`", "did you mean `nothing`?"),
        (
            USER,
            "session_policy = 'read'",
            "session_policy",
            "only a session of a role has a session policy",
            "name a `boundary` instead",
        ),
        (
            "arn:aws:iam::111122223333:root",
            "boundary = 'read'",
            "boundary",
            "a boundary does not limit an account's root user",
            "name a `guardrail_file`",
        ),
        (
            USER,
            "danger_report_only_until = '2026-02-30'",
            "danger_report_only_until",
            "`2026-02-30` is no date",
            "write its last day, as \"2026-12-31\"",
        ),
    ] {
        let faults = limited("", arn, lines).expect_err(lines);
        let [fault] = faults.as_slice() else { panic!("{faults}") };
        let told = (fault.path.as_str(), fault.message.as_str(), fault.hint.as_deref());
        assert_eq!(told, (format!("principals[0].{path}").as_str(), message, Some(hint)));
        assert_eq!(fault.line, Some(4), "{fault}");
    }
    let faults = limited("", USER, "danger_report_only_until = true").unwrap_err();
    assert_eq!(faults.as_slice()[0].path, "principals[0].danger_report_only_until");
}

#[test]
fn a_guardrail_is_there_is_read_and_allows_something() {
    let faults = limited("guardrail_file = 'policies/absent.json'", USER, "").unwrap_err();
    let [fault] = faults.as_slice() else { panic!("{faults}") };
    assert!(fault.file.ends_with("policies/absent.json") && fault.message.starts_with("cannot be read: "), "{fault}");
    // It has no principals: a key policy is none.
    let key_policy = READ.replace("\"Resource\"", "\"Principal\":\"*\",\"Resource\"");
    let written = written(&format!("{LEAST}policies = {{ guardrail_file = 'key.json' }}\n"));
    std::fs::write(written.directory.path().join("key.json"), key_policy).unwrap();
    let faults = Config::load(&written.file).unwrap_err();
    assert_eq!(faults.as_slice()[0].path, "Statement.Principal", "{faults}");
    let config = limited("guardrail_file = 'policies/nothing.json'", USER, "").unwrap();
    let [warning] = config.warnings.as_slice() else { panic!("{:?}", config.warnings) };
    assert_eq!(warning.message, "it allows nothing, so nobody may do anything");
    assert!(warning.file.ends_with("policies/nothing.json"), "{warning}");
}

#[test]
fn a_refusal_that_is_only_reported_is_a_warning_with_its_end() {
    let config = limited("", USER, "danger_report_only_until = '2026-12-31'").unwrap();
    let [warning] = config.warnings.as_slice() else { panic!("{:?}", config.warnings) };
    assert!(warning.message.starts_with(&format!("`{USER}` is only reported, and not refused, until ")), "{warning}");
    let principal = &config.credentials.get("AKIAIOSFODNN7EXAMPLE").unwrap().principal;
    let until = principal.danger_report_only_until.unwrap();
    // `date -u -d '2027-01-01' +%s`: the whole of the last day counts.
    assert_eq!(until.unix_seconds(), 1_798_761_600);
}

#[test]
fn who_has_no_policies_or_is_of_another_account_is_a_warning() {
    let warnings = |arn: &str| {
        let written = written(LEAST);
        let credentials = written.directory.path().join("credentials.toml");
        std::fs::write(credentials, CREDENTIALS.replacen(USER, arn, 1)).unwrap();
        Config::load(&written.file).unwrap().warnings.len()
    };
    let other = USER.replace("111122223333", "444455556666");
    // Whoever is the account itself needs no policies.
    assert_eq!([USER, &other, "arn:aws:iam::111122223333:root"].map(warnings), [1, 2, 0]);
}

#[test]
fn grants_are_delayed_by_five_minutes_at_most() {
    let config = loaded(&format!("{LEAST}[grants]\npropagation_delay_ms = 300000\n")).unwrap();
    assert_eq!(config.grants.propagation_delay.as_secs(), 300);
    for value in ["300001", "-1", "'1'"] {
        let (path, _) = fault_of(&format!("[grants]\npropagation_delay_ms = {value}\n"));
        assert_eq!(path, "grants.propagation_delay_ms", "{value}");
    }
}

#[test]
fn what_the_example_of_credentials_has_commented_out_can_be_had() {
    let directory = shipped();
    let file = directory.path().join("config/credentials.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = commented(&text);
    let keys: Vec<_> = lines.iter().map(|commented| commented.key).collect();
    assert_eq!(keys, ["boundary", "session_policy", "danger_report_only_until"]);
    let all = lines
        .iter()
        .fold(text.clone(), |text, commented| text.replacen(commented.line, uncommented(commented.line), 1));
    std::fs::write(&file, all).unwrap();
    let config = Config::load(&directory.path().join("config/local.toml")).unwrap();
    let principal = &config.credentials.get("AKIAIOSFODNN7EXAMPLE").unwrap().principal;
    let limits = [&principal.boundary, &principal.session_policy];
    assert!(limits.iter().all(|limit| limit.as_ref().is_some_and(|policy| policy.name() == "data-keys")));
    assert!(principal.danger_report_only_until.is_some());
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
}

#[test]
fn a_name_that_no_client_could_send_is_a_fault() {
    let (path, text) = fault_of("[listen]\naccepted_hosts = ['kms.internal:8700', 'http://kms/']\n");
    assert_eq!(path, "listen.accepted_hosts[1]", "{text}");
}

/// The files of `config/` in a directory of their own, with credentials made from the example.
fn shipped() -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let to = tempfile::tempdir().unwrap();
    let config = to.path().join("config");
    std::fs::create_dir_all(config.join("policies")).unwrap();
    let files = |directory: &Path| {
        let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_file()).collect::<Vec<_>>()
    };
    for file in files(&from).into_iter().chain(files(&from.join("policies"))) {
        std::fs::copy(&file, config.join(file.strip_prefix(&from).unwrap())).unwrap();
    }
    let example = std::fs::read(from.join("credentials.example.toml")).unwrap();
    private_file::write_new(&config.join("credentials.toml"), &example).unwrap();
    to
}

/// `config/local.toml` as `change` has it.
fn local(change: impl FnOnce(&str) -> String) -> Result<Config, Faults> {
    let directory = shipped();
    let file = directory.path().join("config/local.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, change(&text)).unwrap();
    let mut config = Config::load(&file)?;
    // Everything is compared by what it is from there.
    let from = |path: &Path| path.strip_prefix(directory.path().join("config")).unwrap().to_path_buf();
    let Backend::Local { data_dir, root_key_file } = &mut config.backend else { panic!("another backend") };
    (*data_dir, *root_key_file) = (from(data_dir), from(root_key_file));
    config.auth.credentials_file = from(&config.auth.credentials_file);
    Ok(config)
}

/// A setting that is commented out.
struct Commented<'t> {
    section: &'t str,
    key: &'t str,
    line: &'t str,
}

/// Every line of the form `# key = value`, which no prose has.
fn commented(text: &str) -> Vec<Commented<'_>> {
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if bare.starts_with('[') {
            section = bare.trim_matches(['[', ']']);
        }
        let Some((key, _)) = bare.split_once(" = ").filter(|_| line.starts_with("# ")) else { continue };
        if key.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte)) {
            found.push(Commented { section, key, line });
        }
    }
    found
}

fn uncommented(line: &str) -> &str {
    line.strip_prefix("# ").unwrap()
}

#[test]
fn the_files_of_config_are_a_configuration_without_faults_or_warnings() {
    // Every policy of the directory is compiled, attached or not.
    let config = local(str::to_owned).unwrap();
    assert_eq!(config.warnings, []);
    let policies_of = |id: &str| {
        let policies = &config.credentials.get(id).unwrap().principal.policies;
        policies.iter().map(|policy| policy.name()).collect::<Vec<_>>()
    };
    // AWS's documented example keys.
    assert_eq!(policies_of("AKIAIOSFODNN7EXAMPLE"), ["data-keys"]);
    assert_eq!(policies_of("AKIAI44QH8DHBEXAMPLE"), ["key-administrators"]);
    assert_eq!(config.credentials.len(), 2);
}

#[test]
fn what_the_example_has_commented_out_is_the_default() {
    let text = include_str!("../../config/local.toml");
    let default = local(str::to_owned).unwrap();
    let mut compared = 0;
    for Commented { section, key, line } in commented(text) {
        let config = local(|text| {
            let text = text.replacen(line, uncommented(line), 1);
            // What is said of a file means nothing without one.
            if key.starts_with("rotation") { text.replacen("# file = ", "file = ", 1) } else { text }
        });
        if section == "listen.tls" || section == "audit.otlp" || key == "guardrail_file" {
            // Certificates, a collector and a guardrail have no default; they are tried with files that are there.
            continue;
        }
        let config = config.unwrap_or_else(|faults| panic!("`{line}`: {faults}"));
        match (section, key) {
            // A quota is off until it is given, the workers are as many as the machine has cores.
            ("limits", _) => assert_ne!(config.limits, default.limits, "{line}"),
            // A setting without a default: no keys but those that clients make.
            ("backend", "seeds_file") => {
                assert!(default.seeds.is_none());
                assert_eq!(config.seeds.unwrap().len(), 2);
            }
            // Nor has this one: nothing is bounded.
            ("policies", "guardrail_file") => {
                assert!(default.guardrail.is_none());
                assert_eq!((config.guardrail.unwrap().name(), config.warnings), ("guardrail", Vec::new()));
            }
            // Nor have these: there is no file, and the key is derived.
            ("audit", "file") => {
                assert_eq!(default.audit.file, None);
                assert!(config.audit.file.unwrap().ends_with("config/audit.jsonl"));
                assert_eq!((config.audit.required, config.audit.stdout), (SinkName::File, None));
            }
            ("audit", "signing_key_file") => {
                let key = |config: &Config| config.audit.chain.clone().unwrap().signing_key_file;
                assert!(key(&default).is_none() && key(&config).unwrap().ends_with("config/audit.key"));
            }
            ("audit", "rotation") => {
                let with_file = local(|text| text.replacen("# file = ", "file = ", 1)).unwrap();
                assert_eq!(config.audit.rotation, with_file.audit.rotation);
            }
            ("audit", "rotation.hours") => {
                assert_eq!(config.audit.rotation.unwrap().after, Some(Duration::from_hours(24)));
            }
            ("server", "workers") => assert_eq!(config.server.workers.get(), 2),
            ("listen", "accepted_hosts") => {
                let hosts = |config: &Config| config.listen.accepted_hosts(config.listen.address, &config.regions);
                let (mut given, mut usual) = (hosts(&config), hosts(&default));
                given.sort();
                usual.sort();
                assert_eq!(given, usual, "{line}");
            }
            _ => {
                assert_eq!(settings(&config), settings(&default), "{line}");
                compared += 1;
            }
        }
    }
    // The others: four, the quotas, and those of TLS.
    assert!(compared >= 17, "only {compared} lines of the example were understood");
}

/// All that the file sets, but for the credentials.
fn settings(config: &Config) -> String {
    let Config { regions, account, listen, admin, backend, auth, policies, grants, audit, limits, server, .. } = config;
    let unknown = policies.accept_unknown_principals;
    format!("{:#?}", (regions, account, listen, admin, backend, (auth, unknown, grants), audit, limits, server))
}

#[test]
fn what_contradicts_itself_about_the_audit_trail_is_a_fault() {
    for (audit, fault) in [
        ("required = 'file'", "names a sink that is not configured"),
        ("required = 'disk'", "`disk` is no sink"),
        ("stdout = 'checkpoints'", "the required sink has to get every record"),
        ("stdout = 'all'", "`all` is nothing that a sink can get"),
        ("durability = 'fsync'", "`fsync` is no durability"),
        ("chain = false\nsigning_key_file = 'key'", "means nothing without a chain"),
        ("checkpoint_interval_ms = 10001", "10001"),
        ("rotation.bytes = 1000000", "there is no file to rotate"),
        ("file = 'a.jsonl'\nrotation.bytes = 1", "rotation.bytes"),
        ("otlp.timeout_ms = 5", "endpoint"),
        (
            "otlp = { endpoint = 'http://127.0.0.1:1', content = 'checkpoints' }",
            "the required sink has to get every record",
        ),
        ("file = 'a.jsonl'\nstdout = 'records'\nrequired = 'stdout'\nrotation.hours = 1", "is not rotated"),
        ("file = 'a.jsonl'\nchain = false\nstdout = 'checkpoints'", "there are no checkpoints"),
        ("unauthenticated_per_second = 0", "unauthenticated_per_second"),
    ] {
        let faults = Config::load(&written(&format!("{LEAST}\n[audit]\n{audit}\n")).file).unwrap_err().to_string();
        assert!(faults.contains(fault), "{audit}: {faults}");
    }
}

#[test]
fn the_examples_section_for_a_collector_is_right_once_its_files_are_there() {
    let text = include_str!("../../config/local.toml");
    let lines: Vec<_> = commented(text).into_iter().filter(|commented| commented.section == "audit.otlp").collect();
    assert_eq!(lines.len(), 7);
    let directory = shipped();
    let config = directory.path().join("config");
    private_file::write_new(&config.join("collector.headers"), b"authorization: Bearer x\n").unwrap();
    let file = config.join("local.toml");
    let mut text = std::fs::read_to_string(&file).unwrap().replace("# [audit.otlp]", "[audit.otlp]");
    for line in lines {
        text = text.replacen(line.line, uncommented(line.line), 1);
    }
    std::fs::write(&file, text).unwrap();
    let audit = Config::load(&file).unwrap().audit;
    let otlp = audit.otlp.unwrap();
    assert_eq!((audit.required, otlp.content, audit.stdout), (SinkName::Otlp, Content::Records, None));
    assert_eq!((otlp.settings.headers.len(), otlp.settings.timeout), (1, crate::audit::otlp::TIMEOUT));
}

#[test]
fn the_examples_section_for_tls_is_served_once_its_files_are_there() {
    let directory = shipped();
    let config = directory.path().join("config");
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(config.join("tls.crt"), signed.cert.pem()).unwrap();
    std::fs::write(config.join("tls.key"), signed.signing_key.serialize_pem()).unwrap();
    let file = config.join("local.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    for line in ["# [listen.tls]", "# certificate_file", "# key_file"] {
        assert_eq!(text.matches(line).count(), 1, "{line}");
        text = text.replace(line, uncommented(line));
    }
    std::fs::write(&file, text).unwrap();
    assert!(Config::load(&file).unwrap().listen.tls.is_some());
}
