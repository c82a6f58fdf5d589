//! nginx as a proxy that checks nothing: one worker, connections kept on both sides, no access log.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::children::{Guard, Launcher, free_address};

/// Where Debian has it, which is not on everybody's `PATH`.
const PLACES: [&str; 3] = ["nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"];

/// What is printed where there is none.
pub(crate) const MISSING: &str = "NGINX IS LEFT OUT: it is not installed here, so nothing is compared with it. \
                                  Debian: apt-get install --no-install-recommends nginx-light";

/// An nginx that is installed here.
#[derive(Debug)]
pub(crate) struct Nginx {
    program: &'static str,
    /// As it names itself.
    pub(crate) version: String,
}

impl Nginx {
    /// The first that there is.
    pub(crate) fn find() -> Option<Self> {
        PLACES.into_iter().find_map(|program| {
            let output = Command::new(program).arg("-v").output().ok().filter(|output| output.status.success())?;
            let version = std::str::from_utf8(&output.stderr).ok()?.trim().trim_start_matches("nginx version: ");
            Some(Self { program, version: version.to_owned() })
        })
    }

    /// Starts it in front of `upstream`, its files in the directory `scratch`, which is made.
    pub(crate) fn start(
        &self,
        launcher: &Launcher,
        scratch: &Path,
        upstream: SocketAddr,
    ) -> Outcome<(Guard, SocketAddr)> {
        std::fs::create_dir(scratch)?;
        let address = free_address()?;
        std::fs::write(scratch.join("nginx.conf"), configuration(address, upstream))?;
        let directory = scratch.display().to_string();
        let arguments = ["-p", &directory, "-c", "nginx.conf", "-e", "error.log"];
        let process = launcher.start(Path::new(self.program), &arguments, &scratch.join("nginx.log"))?;
        Ok((process, address))
    }
}

/// The master is left out: the one worker is then the child itself, which is measured and ends with the benchmark.
/// nginx's own limit of 1,000 requests a connection is lifted on both sides.
fn configuration(address: SocketAddr, upstream: SocketAddr) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("    {what}_temp_path temporary-{what};\n"))
        .concat();
    let endless = "keepalive_requests 1000000000; keepalive_timeout 1h;";
    format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid nginx.pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{temporary}    access_log off;\n    {endless}\n    \
             upstream kms {{ server {upstream}; keepalive 64; {endless} }}\n    \
             server {{\n        listen {address};\n        location / {{\n            proxy_pass http://kms;\n            \
                 proxy_http_version 1.1;\n            proxy_set_header Connection \"\";\n        }}\n    }}\n}}\n"
    )
}
