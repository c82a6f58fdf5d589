//! `kmsgate policy simulate`: what the policies would say to a request that nobody has sent, and why.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::slice;
use std::sync::Arc;

use clap::Args;

use super::fault::Failure;
use super::judge::{Bench, OfKey, Question, Verdict, read};
use super::question::{has_context, takes_context};
use super::report::notes;
use super::request::{Facts, Said, one};
use crate::aws::{AccountId, AliasName, Arn, EncryptionContext, KeyArn, Operation, Permission, Region, Resource, Tags};
use crate::cli::FAILED;
use crate::cli::output::say;
use crate::clock::Clock;
use crate::config::{Config, policy_fault};
use crate::credentials::{Credentials, Principal, PrincipalArn};
use crate::faults::nearest;
use crate::policy::{ACTIONS, Compiled, ConditionKey, Document, Kind, condition_key};

/// Where `kmsgate quickstart` keeps its configuration if it is not told otherwise.
pub(super) const QUICKSTART_CONFIG: &str = "kmsgate-data/kmsgate.toml";

/// Judge a request that was not sent, and show the way to the decision.
///
/// The principal's policies, boundary, session policy and tags, and the guardrail, are those of the configuration; with
/// --policy the principal has these identity policies and nothing else. Facts that follow from the principal, the key's
/// ARN and the present time are filled in. What a gateway would know besides (the address of the caller, the tags of
/// the key) is not known here until --fact tells it, and then neither allows nor fails to deny. No store is opened: the
/// key is taken to have the default key policy unless --key-policy is given, and grants are not looked at.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kmsgate policy simulate --config kmsgate.toml --principal arn:aws:iam::111122223333:user/orders \\
      --action kms:GenerateDataKeyWithoutPlaintext \\
      --key arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab \\
      --context Department=Finance --fact aws:SourceIp=203.0.113.9
  kmsgate policy simulate --policy orders.json --principal arn:aws:iam::111122223333:user/orders --action kms:ListKeys

Exit codes: 0 allowed, 1 denied, 64 a file or an argument is at fault.")]
pub(in crate::cli) struct Arguments {
    /// The gateway's configuration; without it, and without --policy, that of a quickstart here
    #[arg(long, value_name = "FILE", default_value = QUICKSTART_CONFIG, conflicts_with = "policy")]
    config: PathBuf,
    /// An identity policy of the principal's, in the place of a configuration; once for each
    #[arg(long, value_name = "FILE", num_args = 1..)]
    policy: Vec<PathBuf>,
    /// Who asks: a principal of the credentials file
    #[arg(long, value_name = "ARN")]
    principal: String,
    /// The permission: kms:GenerateDataKeyWithoutPlaintext
    #[arg(long, value_name = "ACTION")]
    action: String,
    /// The key, or the alias if that is what the permission is needed on
    #[arg(long, value_name = "ARN")]
    key: Option<String>,
    /// A pair of the encryption context; once for each
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    context: Vec<String>,
    /// Another condition key with its value, again for several values; without `=` the request does not have it
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    fact: Vec<String>,
    /// The key's policy [default: the one that KMS gives to keys made without]
    #[arg(long, value_name = "FILE")]
    key_policy: Option<PathBuf>,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match verdict(arguments) {
        Ok(verdict) => {
            if arguments.json {
                say(&format!("{}\n", verdict.json()));
            } else {
                say(&format!("{}{}", verdict.text(), notes(slice::from_ref(&verdict))));
            }
            if verdict.is_allowed() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
        }
        Err(failure) => failure.tell(),
    }
}

fn verdict(arguments: &Arguments) -> Result<Verdict, Failure> {
    let action = action(&arguments.action)?;
    let resource = resource(action, arguments.key.as_deref())?;
    // With policies given there is no configuration.
    let config = arguments.policy.is_empty().then(|| Config::load(&arguments.config)).transpose()?;
    let principal = match &config {
        Some(config) => configured(&config.credentials, &arguments.principal)?,
        None => Arc::new(with_policies(&arguments.principal, &arguments.policy)?),
    };
    let key_policy = OfKey::read(arguments.key_policy.as_deref())?;
    let (region, guardrail) =
        (config.as_ref().map(|c| c.regions.own()), config.as_ref().and_then(|c| c.guardrail.as_ref()));
    let mut facts = Facts::new(&principal, &resource, region, &Clock::System.now().iso8601().to_string());
    if config.is_none() && principal.arn.account().as_str() != &*principal.user_id {
        // The unique id is the configuration's.
        facts.set(ConditionKey::UserId, Said::Unknown);
    }
    let context = context(action, &arguments.context)?;
    facts.encryption_context(&context);
    if has_context(action) {
        facts.set(ConditionKey::EncryptionAlgorithm, one("SYMMETRIC_DEFAULT"));
    }
    tell(&mut facts, &arguments.fact)?;
    let question = Question { action: action.to_owned(), resource, facts };
    let account = config.as_ref().map(|config| config.account);
    Bench { guardrail, account, principal: &principal, key_policy: &key_policy }.judge(question)
}

/// A permission of KMS, as it is spelt.
fn action(asked: &str) -> Result<&'static str, Failure> {
    let known = || ACTIONS.iter().copied();
    if let Some(action) = known().find(|action| action.eq_ignore_ascii_case(asked)) {
        return Ok(action);
    }
    let with_service = if asked.contains(':') { asked.to_owned() } else { format!("kms:{asked}") };
    let operation = Operation::ALL.iter().find(|operation| with_service == format!("kms:{}", operation.name()));
    let hint = match (operation, nearest(&with_service, known())) {
        (Some(operation), _) => {
            let actions: Vec<&str> = operation.permissions().iter().map(|permission| permission.action).collect();
            format!("{} asks for {}", operation.name(), actions.join(" and "))
        }
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => "`kmsgate operations` lists the permissions".to_owned(),
    };
    Err(Failure::asked(format_args!("--action: `{asked}` is no action of KMS"), hint))
}

/// What the action is asked for on.
fn resource(action: &str, key: Option<&str>) -> Result<String, Failure> {
    let permissions = || Operation::ALL.iter().flat_map(|operation| operation.permissions());
    let on = |wanted: fn(&Permission) -> bool| permissions().any(|of| of.action == action && wanted(of));
    let on_key = on(|of| matches!(of.resource, Resource::Key(_))) || !on(|_| true);
    let on_alias = on(|of| of.resource == Resource::Alias);
    // Tags of a key that is being made are asked for on no resource.
    let on_any = on(|of| of.resource == Resource::Any) || action == "kms:TagResource";
    let Some(text) = key else {
        return if on_any { Ok("*".to_owned()) } else { Err(wrong_key(action, "is asked for on a key", on_alias)) };
    };
    let is_alias = Arn::parse(text).is_ok_and(|arn| {
        let region: Result<Region, _> = arn.region.parse();
        let account: Result<AccountId, _> = arn.account.parse();
        arn.service == "kms" && region.is_ok() && account.is_ok() && arn.resource.parse::<AliasName>().is_ok()
    });
    match text.parse::<KeyArn>() {
        Ok(_) if on_key => Ok(text.to_owned()),
        _ if is_alias && on_alias => Ok(text.to_owned()),
        Ok(_) => Err(wrong_key(action, "is asked for on no key", false)),
        Err(_) if is_alias && on_key => Err(wrong_key(action, "is judged on the key and not on its alias", false)),
        Err(_) => Err(wrong_key(action, &format!("`{text}` is no ARN of a key"), on_alias)),
    }
}

fn wrong_key(action: &str, what: &str, on_alias: bool) -> Failure {
    let hint = match (what, on_alias) {
        ("is asked for on no key", _) => "leave --key out",
        (_, true) => "name it with --key arn:aws:kms:REGION:ACCOUNT:key/ID, or arn:aws:kms:REGION:ACCOUNT:alias/NAME",
        (_, false) => "name it with --key arn:aws:kms:REGION:ACCOUNT:key/ID",
    };
    Failure::asked(format_args!("--key: {action} {what}"), hint)
}

/// The principal of the credentials file that is meant. A role's ARN means its session, if there is one.
pub(super) fn configured(credentials: &Credentials, asked: &str) -> Result<Arc<Principal>, Failure> {
    let is = |name: fn(&PrincipalArn) -> &str| {
        let mut found: Vec<&Arc<Principal>> = credentials.principals().filter(|one| name(&one.arn) == asked).collect();
        found.sort_by_key(|one| one.arn.caller());
        found.dedup_by_key(|one| one.arn.caller());
        found
    };
    if let [principal] = is(PrincipalArn::caller).as_slice() {
        return Ok(Arc::clone(principal));
    }
    match is(PrincipalArn::condition_value).as_slice() {
        [principal] => Ok(Arc::clone(principal)),
        [] => {
            let known = credentials.principals().map(|one| one.arn.caller());
            let hint = match nearest(asked, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name one that has an access key in the credentials file, or give its policies with --policy"
                    .to_owned(),
            };
            Err(Failure::asked(format_args!("the configuration has no principal `{asked}`"), hint))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|one| one.arn.caller()).collect();
            Err(Failure::asked(
                format_args!("`{asked}` has several sessions"),
                format_args!("name one: {}", names.join(", ")),
            ))
        }
    }
}

/// A principal that is in no configuration.
fn with_policies(asked: &str, files: &[PathBuf]) -> Result<Principal, Failure> {
    let arn: PrincipalArn = asked.parse().map_err(|error| {
        let hint = "write it like arn:aws:iam::111122223333:user/NAME";
        Failure::asked(format_args!("--principal: `{asked}` is refused: {error}"), hint)
    })?;
    let policies = files.iter().map(|file| identity(file)).collect::<Result<_, _>>()?;
    let unique_id = arn.account().as_str().to_owned();
    let user_id = if arn.username().is_none() && arn.session().is_none() { unique_id } else { String::new() };
    Ok(Principal::new(arn, &user_id, Tags::default(), policies))
}

fn identity(file: &Path) -> Result<Arc<Compiled>, Failure> {
    let json = read(file)?;
    let parsed = Document::parse(&file.display().to_string(), &json, Kind::Identity);
    let document = parsed.map_err(|faults| Failure::all(faults.into_iter().map(|fault| policy_fault(file, fault))))?;
    Ok(Arc::new(Compiled::from(document.document)))
}

fn context(action: &str, pairs: &[String]) -> Result<EncryptionContext, Failure> {
    if !pairs.is_empty() && !takes_context(action) {
        return Err(Failure::asked(format_args!("--context: {action} has no encryption context"), "leave it out"));
    }
    let pair = |text: &String| {
        let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| {
            Failure::asked(format_args!("--context: `{text}` is no pair"), "write it like Department=Finance")
        })
    };
    let pairs = pairs.iter().map(pair).collect::<Result<_, _>>()?;
    EncryptionContext::from_pairs(pairs)
        .map_err(|_| Failure::asked("--context: a key is given twice", "a request has each key once"))
}

/// Adds what was told to what follows; it takes the place of that.
pub(super) fn tell(facts: &mut Facts, told: &[String]) -> Result<(), Failure> {
    let mut keys: Vec<ConditionKey> = Vec::new();
    for text in told {
        let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
        let key = condition_key(name).map_err(|fault| Failure::Asked(format!("--fact: {fault}")))?;
        if !keys.contains(&key) {
            facts.set_written(key.clone(), name, Said::Values(Vec::new()));
            keys.push(key.clone());
        }
        if let Some(value) = value {
            facts.add(&key, name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
