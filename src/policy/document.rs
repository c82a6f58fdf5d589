//! A policy document: IAM's JSON, read strictly into statements.
//!
//! Whatever is not understood is refused, never passed over; every fault of a document is found in one pass. What
//! is legal and surely a mistake is a warning.

use std::collections::HashSet;

use super::Kind;
use super::fault::{Fault, Findings, Path, Refusal};
use super::json::Node;
use super::principals::Principals;
use super::statement::{Effect, Statement};

/// A policy document that has been read without a fault.
#[derive(Clone, Debug)]
pub struct Document {
    pub(super) name: Box<str>,
    pub(super) kind: Kind,
    pub(super) statements: Vec<Statement>,
}

/// A document, and what its author should know about it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The document.
    pub document: Document,
    /// What is legal and probably not meant: misspelt actions and condition keys, statements that cannot apply.
    pub warnings: Vec<Fault>,
    /// Statements of an identity policy that allow all of KMS on everything. No warnings, since that may be what is
    /// meant: of an administrator, or of a document that is somebody's boundary.
    pub wide: Vec<Fault>,
}

impl Document {
    /// Reads a document. `name` is what decisions call it by: its file or id.
    ///
    /// # Errors
    ///
    /// Every fault there is, each with its place.
    pub fn parse(name: &str, json: &[u8], kind: Kind) -> Result<Parsed, Vec<Fault>> {
        let root = Path::default();
        let node = Node::parse(json).map_err(|refusal| vec![refusal.at(&root)])?;
        let mut findings = Findings::default();
        if kind == Kind::Key
            && let Some(other) = std::str::from_utf8(json).ok().and_then(|text| text.chars().find(|c| !may_stand(*c)))
        {
            let refusal = Refusal::new(format!("the character {other:?} may not stand in a key policy"));
            findings.refuse::<()>(&root, refusal.hint("write it as a JSON escape"));
        }
        node.note_duplicates(&root, &mut findings);
        let statements = Reader { kind, variables: false, findings: &mut findings }.document(&node, &root);
        match statements {
            Some(statements) if findings.faults.is_empty() => {
                let document = Self { name: name.into(), kind, statements };
                Ok(Parsed { document, warnings: findings.warnings, wide: findings.wide })
            }
            _ => Err(findings.faults),
        }
    }

    /// The name it was read under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same document, attached to something else. What may stand in the policies that principals, sessions and the
    /// gateway have is the same for all.
    #[must_use]
    pub fn attached_as(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The principals that a key policy names, in the form of
    /// [`canonical_principal`](crate::aws::canonical_principal), each with its place.
    pub fn principals(&self) -> impl Iterator<Item = (String, &str)> {
        self.statements.iter().enumerate().flat_map(|(index, Statement { principals, .. })| {
            let listed = principals.listed().iter().map(|name| ("Principal", name));
            let all = listed.chain(principals.excepted().iter().map(|name| ("NotPrincipal", name)));
            all.map(move |(element, name)| (format!("Statement[{index}].{element}"), &**name))
        })
    }

    /// Whether no statement of it allows.
    #[must_use]
    pub fn allows_nothing(&self) -> bool {
        self.statements.iter().all(|statement| statement.effect == Effect::Deny)
    }

    /// How many statements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether there are none; no document that was read is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

/// Whether the character may stand in the text of a key policy (API reference, `PutKeyPolicy`).
fn may_stand(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}')
}

const DOCUMENT_MEMBERS: [&str; 3] = ["Version", "Statement", "Id"];
const STATEMENT_MEMBERS: [&str; 9] =
    ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition", "Principal", "NotPrincipal"];
/// Elements of the policies of resources alone.
const OF_RESOURCES: [&str; 3] = ["Id", "Principal", "NotPrincipal"];

/// Reads one document. A method that cannot answer has noted a fault, and a document with a fault is not used.
pub(super) struct Reader<'f> {
    pub(super) kind: Kind,
    /// The document's version has policy variables.
    pub(super) variables: bool,
    pub(super) findings: &'f mut Findings,
}

impl Reader<'_> {
    fn document(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<Statement>> {
        let members = self.members(node, path, &DOCUMENT_MEMBERS)?;
        // Of an unknown version the rest is read as of the present one, for its faults.
        self.variables = self.version(member(members, "Version"), path).unwrap_or(true);
        if let Some(other) = member(members, "Id").filter(|node| !matches!(node, Node::Text(_))) {
            self.findings.refuse::<()>(&path.member("Id"), Refusal::new(format!("the id is {}", other.kind())));
        }
        let path = path.member("Statement");
        let statements = match member(members, "Statement") {
            Some(Node::List(items)) if items.is_empty() => {
                self.findings.refuse(&path, Refusal::new("the list of statements is empty"))
            }
            Some(Node::List(items)) => {
                let statements = items.iter().enumerate();
                all(statements.map(|(index, item)| self.statement(item, &path.item(index))))
            }
            Some(item) => self.statement(item, &path).map(|statement| vec![statement]),
            None => self.findings.refuse(&path, Refusal::new("`Statement` is missing")),
        }?;
        self.unique_sids(&statements, &path);
        self.warn_of_idle_allows(&statements, &path);
        Some(statements)
    }

    /// Whether the version has policy variables.
    fn version(&mut self, node: Option<&Node>, path: &Path<'_>) -> Option<bool> {
        match node {
            None => Some(false),
            Some(Node::Text(text)) if text == "2012-10-17" => Some(true),
            Some(Node::Text(text)) if text == "2008-10-17" => Some(false),
            Some(_) => {
                let refusal = Refusal::new("the version is not one of the policy language");
                self.findings.refuse(&path.member("Version"), refusal.hint("write `2012-10-17`"))
            }
        }
    }

    fn unique_sids(&mut self, statements: &[Statement], path: &Path<'_>) {
        let mut seen = HashSet::new();
        for (index, statement) in statements.iter().enumerate() {
            if let Some(sid) = statement.sid.as_deref().filter(|sid| !seen.insert(*sid)) {
                let refusal = Refusal::new(format!("the statement id `{sid}` stands twice"));
                self.findings.refuse::<()>(&path.item(index).member("Sid"), refusal);
            }
        }
    }

    fn statement(&mut self, node: &Node, path: &Path<'_>) -> Option<Statement> {
        let members = self.members(node, path, &STATEMENT_MEMBERS)?;
        // All parts are read before any is asked for, so that the faults of all are noted.
        let sid = self.sid(member(members, "Sid"), path);
        let effect = self.effect(member(members, "Effect"), path);
        let principals = match self.kind {
            Kind::Key => self.principals(members, path),
            Kind::Guardrail | Kind::Boundary | Kind::Session | Kind::Identity => {
                Some(Principals::Everyone(Box::default()))
            }
        };
        let actions = self.actions(members, path);
        let resources = self.resources(members, path);
        let conditions = self.conditions(member(members, "Condition"), &path.member("Condition"));
        let statement = Statement {
            sid,
            effect: effect?,
            principals: principals?,
            actions: actions?,
            resources: resources?,
            conditions: conditions?.into(),
        };
        self.warn_of_pitfalls(&statement, path);
        self.warn_of_idleness(&statement, path);
        self.note_width(&statement, path);
        Some(statement)
    }

    fn sid(&mut self, node: Option<&Node>, path: &Path<'_>) -> Option<Box<str>> {
        match node? {
            Node::Text(sid) if sid.is_empty() => None,
            Node::Text(sid) if self.kind == Kind::Key || sid.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Some(sid.as_str().into())
            }
            _ => {
                let refusal = Refusal::new("a statement id is a string of letters and digits");
                self.findings.refuse(&path.member("Sid"), refusal)
            }
        }
    }

    fn effect(&mut self, node: Option<&Node>, path: &Path<'_>) -> Option<Effect> {
        let refusal = match node {
            Some(Node::Text(text)) => match text.as_str() {
                "Allow" => return Some(Effect::Allow),
                "Deny" => return Some(Effect::Deny),
                other => Refusal::new(format!("`{other}` is no effect")).did_you_mean(other, ["Allow", "Deny"]),
            },
            Some(other) => Refusal::new(format!("the effect is {}", other.kind())),
            None => Refusal::new("`Effect` is missing"),
        };
        self.findings.refuse(&path.member("Effect"), refusal.hint_if_none("write `Allow` or `Deny`"))
    }

    pub(super) fn object<'n>(&mut self, node: &'n Node, path: &Path<'_>) -> Option<&'n [(String, Node)]> {
        match node {
            Node::Object(members) => Some(members),
            other => {
                self.findings.refuse(path, Refusal::new(format!("{} stands where an object belongs", other.kind())))
            }
        }
    }

    /// The members of an object, each that is not one of `known` refused.
    fn members<'n>(&mut self, node: &'n Node, path: &Path<'_>, known: &[&'static str]) -> Option<&'n [(String, Node)]> {
        let members = self.object(node, path)?;
        for (name, _) in members {
            let of_resources = OF_RESOURCES.contains(&name.as_str());
            let refusal = match (known.contains(&name.as_str()), self.kind) {
                (true, Kind::Key) => continue,
                (true, _) if !of_resources => continue,
                (true, kind) => Refusal::new(format!("`{name}` does not belong in {kind}"))
                    .hint("the policy applies to the principal it is attached to"),
                (false, _) => Refusal::new(format!("`{name}` is no element of a policy"))
                    .did_you_mean(name, known.iter().copied()),
            };
            self.findings.refuse::<()>(&path.member(name), refusal);
        }
        Some(members)
    }
}

pub(super) fn member<'n>(members: &'n [(String, Node)], name: &str) -> Option<&'n Node> {
    members.iter().find(|(known, _)| known == name).map(|(_, node)| node)
}

/// All values, or `None` if one is missing; in either case each has been read.
pub(super) fn all<T>(parts: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let parts: Vec<Option<T>> = parts.collect();
    parts.into_iter().collect()
}
