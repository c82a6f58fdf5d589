//! `[listen]` and `[admin]`: where clients and probes come in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::aws::{Region, Regions};
use crate::faults::{Section, Value};
use crate::sigv4::AcceptedHosts;

/// Loopback, so that a gateway without TLS is reached from its own machine alone.
pub const DEFAULT_LISTEN_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8700);
/// Beside the gateway's own; bind it to the pod's address for the kubelet's probes.
pub const DEFAULT_ADMIN_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8701);

/// Where clients come in.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// TLS, if it is on.
    pub tls: Option<Tls>,
    /// An address that is not loopback is served without TLS because the operator says so.
    pub danger_plaintext_listener: bool,
    /// The names that the gateway answers to, if the file lists them.
    accepted_hosts: Option<Vec<String>>,
}

/// TLS, as it is served.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The PEM file of the certificate chain, the server's own first.
    pub certificate_file: PathBuf,
    /// The PEM file of its private key.
    pub key_file: PathBuf,
    /// Both, ready to serve with.
    pub server: Arc<ServerConfig>,
}

impl Listen {
    /// The names that the gateway answers to when it listens on `bound`: those of the file, else its own
    /// address, `localhost` if that is loopback, and KMS's name in each region, which clients sign that reach
    /// the gateway by DNS in KMS's place. Names with the port of their scheme stand without it too.
    #[must_use]
    pub fn accepted_hosts(&self, bound: SocketAddr, regions: &Regions) -> Vec<String> {
        if let Some(hosts) = &self.accepted_hosts {
            return hosts.clone();
        }
        let port = bound.port();
        let of_kms = |region: &Region| format!("kms.{region}.{}", region.partition().dns_suffix());
        let mut hosts = vec![bound.to_string()];
        hosts.extend(regions.all().iter().map(of_kms));
        if bound.ip().is_loopback() {
            hosts.push(format!("localhost:{port}"));
        }
        // Clients leave the port out of Host where it is the scheme's own.
        if port == if self.tls.is_some() { 443 } else { 80 } {
            let bare = hosts.iter().filter_map(|host| host.strip_suffix(&format!(":{port}")));
            hosts.extend(bare.map(str::to_owned).collect::<Vec<_>>());
        }
        hosts
    }
}

pub(super) fn listen(section: &Section<'_>) -> Option<Listen> {
    let danger = section.get("danger_plaintext_listener").and_then(|value| value.boolean()).unwrap_or_default();
    let tls = tls(&section.section("tls"));
    let accepted_hosts = section.get("accepted_hosts");
    let accepted_hosts = accepted_hosts.map(|list| hosts(&list));
    let value = section.get("address");
    section.end();
    let address = address(value.as_ref(), DEFAULT_LISTEN_ADDRESS)?;
    if !address.ip().is_loopback() && tls.is_none() && !section.section("tls").is_present() && !danger {
        section.fault(
            "address",
            format!("`{address}` can be reached from other machines and has no TLS"),
            Some("add [listen.tls], or listen on 127.0.0.1, or set danger_plaintext_listener = true"),
        );
    }
    if address.ip().is_unspecified() && accepted_hosts.is_none() {
        section.fault(
            "accepted_hosts",
            format!("is missing, and `{address}` says nothing of the names that clients use"),
            Some("list them as clients write them in the Host header: [\"kms.internal:8700\"]"),
        );
    }
    Some(Listen { address, tls, danger_plaintext_listener: danger, accepted_hosts })
}

pub(super) fn admin(section: &Section<'_>, listen: Option<&Listen>) -> Option<SocketAddr> {
    let value = section.get("address");
    section.end();
    let address = address(value.as_ref(), DEFAULT_ADMIN_ADDRESS)?;
    if let Some(listen) = listen.filter(|listen| clash(listen.address, address)) {
        let message = format!("`{address}` is taken by listen.address, `{}`", listen.address);
        section.fault("address", message, Some("choose another port"));
    }
    Some(address)
}

fn address(value: Option<&Value<'_>>, default: SocketAddr) -> Option<SocketAddr> {
    value.map_or(Some(default), |value| value.parse("write an IP address and a port, like 127.0.0.1:8700"))
}

/// Whether two listeners cannot both be bound. `[::]` takes the port of IPv4 too, as Linux has it.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_address = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same_address
}

fn hosts(list: &Value<'_>) -> Vec<String> {
    let texts = list.texts();
    for (value, host) in &texts {
        if let Err(error) = AcceptedHosts::new([*host]) {
            value.fault(error.to_string(), Some("write it as clients do in the Host header: kms.internal:8700"));
        }
    }
    let hosts: Vec<String> = texts.into_iter().map(|(_, host)| host.to_owned()).collect();
    if hosts.is_empty() {
        list.fault("is empty, so no request would be accepted", Some("leave it out for the default"));
    }
    hosts
}

fn tls(section: &Section<'_>) -> Option<Tls> {
    if !section.is_present() {
        return None;
    }
    let certificate = section.require("certificate_file", "name a PEM file with the certificate chain");
    let key = section.require("key_file", "name a PEM file with the private key");
    section.end();
    let (certificate_file, key_file) = (certificate.as_ref()?.path()?, key.as_ref()?.path()?);
    let chain = chain(&certificate?, &certificate_file);
    let private_key = private_key(&key?, &key_file);
    let server = chain.zip(private_key).and_then(|(chain, private_key)| server(section, chain, private_key));
    Some(Tls { certificate_file, key_file, server: server? })
}

fn chain(value: &Value<'_>, file: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if !chain.is_empty() => return Some(chain),
        Ok(_) => value.fault(format!("`{}` holds no certificate", file.display()), Some("it must be PEM")),
        Err(error) => value.fault(format!("`{}` cannot be read: {error}", file.display()), Some("it must be PEM")),
    }
    None
}

fn private_key(value: &Value<'_>, file: &Path) -> Option<PrivateKeyDer<'static>> {
    match PrivateKeyDer::from_pem_file(file) {
        Ok(key) => Some(key),
        // The error says which section of the PEM is wrong and never what is in it.
        Err(error) => {
            value.fault(format!("`{}` cannot be read: {error}", file.display()), Some("it must be PEM"));
            None
        }
    }
}

/// TLS 1.2 and 1.3 on aws-lc-rs, X25519MLKEM768 preferred, HTTP/1.1 alone.
fn server(
    section: &Section<'_>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Option<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let built = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    match built {
        Ok(mut server) => {
            server.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(Arc::new(server))
        }
        Err(error) => {
            let message = format!("does not fit the certificate: {error}");
            section.fault("key_file", message, Some("name the certificate's own key"));
            None
        }
    }
}
