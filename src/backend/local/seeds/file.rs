//! The file of seeds, read: TOML to keys of the right types, every fault with its place.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Seed, Seeds};
use crate::aws::{AccountId, AliasName, KeyArn, KeyId, Region, Tags};
use crate::backend::local::aliases::MOST_ALIASES;
use crate::backend::local::key::Origin;
use crate::backend::local::key_spec::{KeySpec, KeyUsage};
use crate::backend::local::material::SECRET_BYTES;
use crate::backend::local::tags::MOST_TAGS;
use crate::backend::local::{AttachedPolicy, Site};
use crate::faults::{Collector, Fault, Section, Value, read_toml};
use crate::secret::Secret;

/// 100,000 keys, which is AWS's quota, with a few hundred bytes each; more is a wrong file.
const LARGEST: u64 = 64 * 1024 * 1024;
/// The model's bounds, in characters.
const LONGEST_DESCRIPTION: usize = 8192;
const LONGEST_TAG_KEY: usize = 128;
const LONGEST_TAG_VALUE: usize = 256;

impl Seeds {
    /// Reads the seeds of a gateway that serves `regions`, the first of which is a key's if it names none, and whose
    /// keys belong to `account`. What is wrong goes to `faults`.
    #[must_use]
    pub fn read(file: &Path, regions: &[Region], account: AccountId, faults: &Collector) -> Option<Self> {
        match read_bounded(file) {
            Ok(text) => {
                let site = Site::new(account, regions);
                let keys = read_toml(file, &text, faults, |root| keys(root, &site));
                Some(Self { file: file.to_path_buf(), keys })
            }
            Err(error) => {
                let hint = "name a file of [[keys]] tables";
                faults.push(Fault::of_file(file, format!("cannot be read: {error}"), hint));
                None
            }
        }
    }
}

/// The text, wiped when it has been read: it may hold key material.
fn read_bounded(file: &Path) -> io::Result<Zeroizing<String>> {
    let opened = File::open(file)?;
    let length = opened.metadata()?.len();
    if length > LARGEST {
        return Err(io::Error::other(format!("it has {length} bytes, more than the {LARGEST} that are read")));
    }
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    opened.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn keys(root: &Section<'_>, site: &Site) -> Vec<Seed> {
    let mut seen = Seen::default();
    let tables = root.sections("keys");
    let keys = tables.iter().enumerate().filter_map(|(index, table)| seed(index, table, site, &mut seen)).collect();
    root.end();
    keys
}

/// What must not occur twice in one file, with the index of its first table.
#[derive(Default)]
struct Seen {
    ids: HashMap<KeyId, usize>,
    aliases: HashMap<String, usize>,
}

fn seed(index: usize, table: &Section<'_>, site: &Site, seen: &mut Seen) -> Option<Seed> {
    let id = id(index, table, seen);
    let region = region(table, site);
    let aliases = aliases(index, table, region.as_ref(), seen);
    let description = table.get("description").and_then(|value| described(&value)).unwrap_or_default();
    let tags = tags(&table.section("tags"));
    let kind = kind(table);
    let danger_material = table.get("danger_material");
    let enabled = table.get("enabled");
    let policy = policy(table.get("policy").as_ref(), site);
    table.end();
    let (spec, usage, origin) = kind?;
    if let Some(enabled) = enabled.as_ref().filter(|_| origin == Origin::External) {
        enabled.fault("is given for a key of the origin EXTERNAL", Some("the import of its material enables the key"));
    }
    let danger_material = danger_material.and_then(|value| material(&value, spec, origin));
    Some(Seed {
        arn: KeyArn::new(&region?, site.account, id?),
        description,
        enabled: enabled.is_none_or(|value| value.boolean().unwrap_or_default()),
        spec,
        usage,
        origin,
        tags,
        policy: policy?,
        aliases,
        danger_material,
    })
}

fn id(index: usize, table: &Section<'_>, seen: &mut Seen) -> Option<KeyId> {
    let value = table.require("id", "give the key an id: a new UUID, or mrk- and 32 small hexadecimal digits")?;
    let id: KeyId = value.parse("write it like 1234abcd-12ab-34cd-56ef-1234567890ab")?;
    if let Some(first) = seen.ids.insert(id, index) {
        let hint = "keep one of them; replicas of a multi-Region key are made with ReplicateKey";
        value.fault(format!("`{id}` is also the id of keys[{first}]"), Some(hint));
    }
    Some(id)
}

fn region(table: &Section<'_>, site: &Site) -> Option<Region> {
    let Some(value) = table.get("region") else { return site.regions.first().cloned() };
    let region: Region = value.parse("write it like us-east-1")?;
    if !site.regions.contains(&region) {
        let served: Vec<_> = site.regions.iter().map(Region::to_string).collect();
        value.fault(format!("`{region}` is not served"), Some(&format!("served here: {}", served.join(", "))));
        return None;
    }
    Some(region)
}

fn aliases(index: usize, table: &Section<'_>, region: Option<&Region>, seen: &mut Seen) -> Vec<AliasName> {
    let Some(list) = table.get("aliases") else { return Vec::new() };
    let names: Vec<AliasName> =
        list.texts().iter().filter_map(|(value, _)| alias(index, value, region, seen)).collect();
    if names.len() > MOST_ALIASES {
        list.fault(format!("has {} aliases", names.len()), Some(&format!("a key has at most {MOST_ALIASES}")));
    }
    names
}

fn alias(index: usize, value: &Value<'_>, region: Option<&Region>, seen: &mut Seen) -> Option<AliasName> {
    let name: AliasName = value.parse("write it like alias/orders")?;
    if name.reserved() {
        value.fault(format!("`{name}` is reserved"), Some("names that begin with alias/aws/ are of AWS managed keys"));
    } else if name.as_str().contains(':') {
        value.fault(format!("`{name}` has a colon"), Some("letters, digits, `/`, `_` and `-` are allowed"));
    } else if let Some(first) = region.and_then(|region| seen.aliases.insert(format!("{region}/{name}"), index)) {
        value.fault(format!("`{name}` is also an alias of keys[{first}]"), Some("an alias points to one key"));
    }
    Some(name)
}

fn described(value: &Value<'_>) -> Option<Box<str>> {
    let text = value.text()?;
    if text.chars().count() > LONGEST_DESCRIPTION {
        value.fault("is too long", Some(&format!("a description has at most {LONGEST_DESCRIPTION} characters")));
    }
    Some(text.into())
}

fn tags(table: &Section<'_>) -> Tags {
    let entries = table.entries();
    if entries.len() > MOST_TAGS {
        table.fault("", format!("has {} tags", entries.len()), Some(&format!("a key has at most {MOST_TAGS}")));
    }
    entries.iter().filter_map(|(key, value)| Some((key.as_str(), tag(key, value)?))).collect()
}

fn tag<'a>(key: &str, value: &Value<'a>) -> Option<&'a str> {
    let text = value.text()?;
    if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
        value.fault("begins with aws:, which is reserved", Some("give the tag another key"));
    }
    if !(1..=LONGEST_TAG_KEY).contains(&key.chars().count()) || text.chars().count() > LONGEST_TAG_VALUE {
        value.fault("is too long or has no key", Some("a tag's key has 1 to 128 characters, its value up to 256"));
    }
    Some(text)
}

fn kind(table: &Section<'_>) -> Option<(KeySpec, KeyUsage, Origin)> {
    let (specs, usages) = ("SYMMETRIC_DEFAULT, RSA_2048, HMAC_256, ...", "ENCRYPT_DECRYPT, SIGN_VERIFY, ...");
    let spec = named(table, "key_spec", KeySpec::SymmetricDefault, KeySpec::from_name, specs);
    let usage = named(table, "key_usage", None, |name| KeyUsage::from_name(name).map(Some), usages);
    let origin = named(table, "origin", Origin::AwsKms, Origin::from_name, "AWS_KMS or EXTERNAL");
    let (spec, usage, origin) = (spec?, usage?, origin?);
    let Some(usage) = usage.or(spec.symmetric().then_some(KeyUsage::EncryptDecrypt)) else {
        let hint = "CreateKey wants it too, for all keys but symmetric ones";
        table.fault("key_usage", format!("is missing for a key of the spec {}", spec.name()), Some(hint));
        return None;
    };
    if spec.algorithms(usage).is_none() {
        let message = format!("{} is no usage of keys of the spec {}", usage.name(), spec.name());
        table.fault("key_usage", message, Some("see CreateKey, KeySpec"));
        return None;
    }
    Some((spec, usage, origin))
}

/// The value of that name, `default` if none is given; `None` after a fault.
fn named<T>(
    table: &Section<'_>,
    key: &'static str,
    default: T,
    from_name: impl Fn(&str) -> Option<T>,
    known: &str,
) -> Option<T> {
    let Some(value) = table.get(key) else { return Some(default) };
    let text = value.text()?;
    let found = from_name(text);
    if found.is_none() {
        value.fault(format!("`{text}` is not served"), Some(&format!("known here: {known}")));
    }
    found
}

/// The key's policy: the usual one if none is given.
fn policy(value: Option<&Value<'_>>, site: &Site) -> Option<Arc<AttachedPolicy>> {
    let Some(value) = value else { return Some(Arc::clone(&site.default_policy)) };
    match AttachedPolicy::parse(value.text()?) {
        Ok(policy) => Some(Arc::new(policy)),
        Err(faults) => {
            for fault in faults {
                value.fault(format!("is no key policy: {fault}"), Some("see the manual, \"Policies and grants\""));
            }
            None
        }
    }
}

/// The material is never quoted.
fn material(value: &Value<'_>, spec: KeySpec, origin: Origin) -> Option<Secret<[u8; SECRET_BYTES]>> {
    let text = value.text()?;
    if !spec.symmetric() {
        value.fault(
            format!("is given for a key of the spec {}", spec.name()),
            Some("only symmetric keys have material"),
        );
    }
    if origin == Origin::External {
        value.fault("is given for a key of the origin EXTERNAL", Some("its material comes with ImportKeyMaterial"));
    }
    let bytes = Zeroizing::new(STANDARD.decode(text).unwrap_or_default());
    let Ok(bytes) = <&[u8; SECRET_BYTES]>::try_from(bytes.as_slice()) else {
        value.fault("is no key material", Some("write 32 bytes in base64, as `openssl rand -base64 32` prints them"));
        return None;
    };
    Some(Secret::new(*bytes))
}
