//! The SDK's own chain against servers that hand out keys with short lives, over real sockets.
//!
//! The SDK is told by the environment where to look, and the environment belongs to the whole process: so each test runs
//! [`a_program_that_follows_its_credentials`] in a process of its own, and asks what it has used.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::backend::aws::Role;
use crate::backend::aws::credentials::CredentialSource;
use crate::clock::Clock;

/// How many different keys are waited for: each more is some seconds more.
const KEYS: usize = 2;
/// How long a key lives that the servers hand out; the next is asked for at half of it.
const LIFE: Duration = Duration::from_secs(8);
/// How long the program may take: many times as long as it needs.
const PATIENCE: Duration = Duration::from_mins(2);

const PROGRAM: &str = "backend::aws::credentials::tests::rotation::a_program_that_follows_its_credentials";
/// Makes the program assume a role.
const ASSUME: &str = "KMSGATE_TEST_ASSUME";
/// Makes the program write further keys to this profile file.
const PROFILE: &str = "KMSGATE_TEST_PROFILE";

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const ROLE: &str = "arn:aws:iam::111122223333:role/kms";

#[ignore = "run by the tests below, in a process and an environment of its own"]
#[tokio::test]
async fn a_program_that_follows_its_credentials() {
    let role = std::env::var_os(ASSUME).map(|_| Role {
        arn: ROLE.into(),
        session_name: "kmsgate-test".into(),
        external_id: Some("an id of theirs".into()),
    });
    let region = "eu-central-1".parse().unwrap();
    let source = CredentialSource::start(&Handle::current(), &region, role.as_ref(), Clock::System);
    timeout(PATIENCE, follow(&source, std::env::var_os(PROFILE).map(PathBuf::from))).await.unwrap();
}

async fn follow(source: &CredentialSource, profile: Option<PathBuf>) {
    let (mut loads, mut used) = (source.loads(), Vec::new());
    while used.len() < KEYS {
        loads.wait_for(|loads| loads.ended > 0).await.unwrap();
        loads.mark_unchanged();
        if let Ok(credentials) = source.current(Clock::System.now()) {
            let id = credentials.access_key_id().to_owned();
            if used.last() != Some(&id) {
                println!("used {id}");
                used.push(id);
            }
            if let Some(file) = &profile {
                write_profile(file, used.len());
                source.refresh_now();
            }
        }
        loads.changed().await.unwrap();
    }
}

fn write_profile(file: &PathBuf, number: usize) {
    let id = id(number);
    let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {SECRET}\n");
    let beside = file.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}

/// Runs the program in this environment; the keys that it has used.
fn used(environment: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([PROGRAM, "--exact", "--ignored", "--nocapture"]);
    // What this process is told of AWS and of proxies is not for it.
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_uppercase();
        if upper.starts_with("AWS_") || upper.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    let nowhere = "/dev/null";
    command.envs([("AWS_CONFIG_FILE", nowhere), ("AWS_SHARED_CREDENTIALS_FILE", nowhere)]);
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8(output.stderr).unwrap());
    text.lines().filter_map(|line| Some(line.split_once("used ")?.1.to_owned())).collect()
}

fn id(number: usize) -> String {
    format!("ASIAIOSFODNN7EXAMP{number:02}")
}

/// That one key after another was used. A slow machine may have seen some end before they could be.
fn were_followed(used: &[String]) {
    assert!(used.len() == KEYS && used.is_sorted_by(|before, after| before < after), "{used:?}");
    assert!(used.iter().all(|id| id.starts_with("ASIAIOSFODNN7EXAMP")), "{used:?}");
}

/// What a server was asked.
struct Request {
    line: String,
    head: String,
    body: String,
}

impl Request {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let (mut line, mut head) = (String::new(), String::new());
        reader.read_line(&mut line).unwrap();
        while !head.ends_with("\r\n\r\n") && head != "\r\n" {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the head ends early");
        }
        let mut request = Self { line, head, body: String::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        request.body = String::from_utf8(body).unwrap();
        request
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn is(&self, line: &str) -> bool {
        self.line.trim_end() == format!("{line} HTTP/1.1")
    }
}

/// Answers one request a connection, until the process ends.
fn serve(answer: impl Fn(&Request) -> (u16, String) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (status, body) = answer(&Request::read(&stream));
            // IMDS says how long its token lives; the others' clients pass over it.
            let head = format!(
                "HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\nX-Aws-Ec2-Metadata-Token-Ttl-Seconds: 21600\r\n\r\n",
                body.len()
            );
            stream.write_all([head, body].concat().as_bytes()).unwrap();
        }
    });
    address
}

/// The next key, as the container and instance metadata services write it.
fn next_key(handed_out: &AtomicUsize) -> String {
    let id = id(handed_out.fetch_add(1, Ordering::SeqCst));
    let end = Clock::System.now().plus(LIFE).iso8601();
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","AccessKeyId":"{id}","SecretAccessKey":"{SECRET}","Token":"TOKEN","Expiration":"{end}"}}"#
    )
}

#[test]
fn the_credentials_of_a_container_are_followed_and_its_token_is_read_anew() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "token-0").unwrap();
    let (handed_out, rotated) = (AtomicUsize::new(0), file.clone());
    let address = serve(move |request| {
        let turn = handed_out.load(Ordering::SeqCst);
        if !request.is("GET /v1/credentials") || request.header("authorization") != Some(&format!("token-{turn}")) {
            return (401, String::new());
        }
        fs::write(&rotated, format!("token-{}", turn + 1)).unwrap();
        (200, next_key(&handed_out))
    });
    let (uri, file) = (format!("http://{address}/v1/credentials"), file.to_str().unwrap());
    let environment =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)];
    were_followed(&used(&environment));
}

#[test]
fn the_credentials_of_an_instance_are_followed() {
    const ROLES: &str = "GET /latest/meta-data/iam/security-credentials/";
    let handed_out = AtomicUsize::new(0);
    let address = serve(move |request| {
        if request.is("PUT /latest/api/token") {
            return (200, "session".to_owned());
        }
        match request.header("x-aws-ec2-metadata-token") {
            Some("session") if request.is(ROLES) => (200, "a-role".to_owned()),
            Some("session") if request.is(&format!("{ROLES}a-role")) => (200, next_key(&handed_out)),
            Some("session") => (404, String::new()),
            _ => (401, String::new()),
        }
    });
    were_followed(&used(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("http://{address}"))]));
}

/// The next key, as STS answers this action.
fn next_session(action: &str, handed_out: &AtomicUsize) -> String {
    let id = id(handed_out.fetch_add(1, Ordering::SeqCst));
    let end = Clock::System.now().plus(LIFE).iso8601();
    let key = format!("<AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>");
    let credentials = format!("{key}<SessionToken>TOKEN</SessionToken><Expiration>{end}</Expiration>");
    let user = format!("<AssumedRoleId>AROAEXAMPLE:kmsgate-test</AssumedRoleId><Arn>{ROLE}</Arn>");
    let result = format!("<Credentials>{credentials}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>");
    let namespace = "https://sts.amazonaws.com/doc/2011-06-15/";
    format!(r#"<{action}Response xmlns="{namespace}"><{action}Result>{result}</{action}Result></{action}Response>"#)
}

/// Whether the form that was sent has all of these.
fn has(request: &Request, pairs: &[&str]) -> bool {
    pairs.iter().all(|pair| request.body.split('&').any(|sent| sent == *pair))
}

const ROLE_IN_A_FORM: &str = "RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fkms";

#[test]
fn a_role_is_assumed_again_and_again_with_what_the_chain_finds() {
    let handed_out = AtomicUsize::new(0);
    let address = serve(move |request| {
        let authorization = request.header("authorization").unwrap_or_default();
        let signed = authorization.contains("Credential=AKIAIOSFODNN7EXAMPLE/")
            && authorization.contains("/eu-central-1/sts/aws4_request");
        let wanted = ["RoleSessionName=kmsgate-test", "ExternalId=an%20id%20of%20theirs"];
        let asked = has(request, &["Action=AssumeRole", ROLE_IN_A_FORM]) && has(request, &wanted);
        if signed && asked { (200, next_session("AssumeRole", &handed_out)) } else { (403, String::new()) }
    });
    let environment = [
        (ASSUME, "yes"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_ENDPOINT_URL_STS", &format!("http://{address}")),
    ];
    were_followed(&used(&environment));
}

#[test]
fn the_role_of_a_service_account_is_followed_and_its_token_is_read_anew() {
    const ACTION: &str = "AssumeRoleWithWebIdentity";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "token-0").unwrap();
    let (handed_out, rotated) = (AtomicUsize::new(0), file.clone());
    let address = serve(move |request| {
        let turn = handed_out.load(Ordering::SeqCst);
        let (action, token) = (format!("Action={ACTION}"), format!("WebIdentityToken=token-{turn}"));
        if !has(request, &[&action, &token, ROLE_IN_A_FORM]) {
            return (403, String::new());
        }
        fs::write(&rotated, format!("token-{}", turn + 1)).unwrap();
        (200, next_session(ACTION, &handed_out))
    });
    let environment = [
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &format!("http://{address}")),
    ];
    were_followed(&used(&environment));
}

#[test]
fn a_key_that_is_changed_in_a_profile_file_is_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    write_profile(&file, 0);
    let file = file.to_str().unwrap();
    were_followed(&used(&[("AWS_SHARED_CREDENTIALS_FILE", file), (PROFILE, file)]));
}
