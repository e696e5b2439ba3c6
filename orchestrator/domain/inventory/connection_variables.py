"""The variables by which an inventory says how a host is reached: those that count, those that don't, and why.

Source: the documentation of Ansible's psrp, winrm and ssh connections. Where one thing has several names, the last one
that is set wins, as in Ansible.
"""

from typing import NamedTuple

from orchestrator.domain.connection import Auth


class Names(NamedTuple):
    """What each thing is called under one `ansible_connection`; an empty tuple: it can't be set there."""

    port: tuple[str, ...]
    address: tuple[str, ...]
    user: tuple[str, ...]
    password: tuple[str, ...]
    protocol: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    auth: tuple[str, ...] = ()
    verification: tuple[str, ...] = ()
    ca: tuple[str, ...] = ()
    encryption: tuple[str, ...] = ()
    proxy: tuple[str, ...] = ()
    configuration: tuple[str, ...] = ()
    certificate: tuple[str, ...] = ()
    certificate_key: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    hostname: tuple[str, ...] = ()
    delegate: tuple[str, ...] = ()
    connection_timeout: tuple[str, ...] = ()
    operation_timeout: tuple[str, ...] = ()
    read_timeout: tuple[str, ...] = ()
    key_file: tuple[str, ...] = ()
    passphrase: tuple[str, ...] = ()


_PASSWORDS = ("ansible_password", "ansible_winrm_pass", "ansible_winrm_password")

PSRP = Names(
    address=("ansible_host", "ansible_psrp_host"),
    port=("ansible_port", "ansible_psrp_port"),
    user=("ansible_user", "ansible_psrp_user"),
    password=_PASSWORDS,
    protocol=("ansible_psrp_protocol",),
    path=("ansible_psrp_path",),
    auth=("ansible_psrp_auth",),
    verification=("ansible_psrp_cert_validation",),
    ca=("ansible_psrp_cert_trust_path", "ansible_psrp_ca_cert"),
    encryption=("ansible_psrp_message_encryption",),
    proxy=("ansible_psrp_proxy",),
    configuration=("ansible_psrp_configuration_name",),
    certificate=("ansible_psrp_certificate_pem",),
    certificate_key=("ansible_psrp_certificate_key_pem",),
    service=("ansible_psrp_negotiate_service",),
    hostname=("ansible_psrp_negotiate_hostname_override",),
    delegate=("ansible_psrp_negotiate_delegate",),
    connection_timeout=("ansible_psrp_connection_timeout",),
    operation_timeout=("ansible_psrp_operation_timeout",),
    read_timeout=("ansible_psrp_read_timeout",),
)

WINRM = Names(
    address=("ansible_host", "ansible_winrm_host"),
    port=("ansible_port", "ansible_winrm_port"),
    user=("ansible_user", "ansible_winrm_user"),
    password=_PASSWORDS,
    protocol=("ansible_winrm_scheme",),
    path=("ansible_winrm_path",),
    auth=("ansible_winrm_transport",),
    verification=("ansible_winrm_server_cert_validation",),
    ca=("ansible_winrm_ca_trust_path",),
    encryption=("ansible_winrm_message_encryption",),
    proxy=("ansible_winrm_proxy",),
    certificate=("ansible_winrm_cert_pem",),
    certificate_key=("ansible_winrm_cert_key_pem",),
    service=("ansible_winrm_service",),
    hostname=("ansible_winrm_kerberos_hostname_override",),
    delegate=("ansible_winrm_kerberos_delegation",),
    operation_timeout=("ansible_winrm_operation_timeout_sec",),
    read_timeout=("ansible_winrm_read_timeout_sec",),
)

SSH = Names(
    address=("ansible_host", "ansible_ssh_host"),
    port=("ansible_port", "ansible_ssh_port"),
    user=("ansible_user", "ansible_ssh_user"),
    password=("ansible_password", "ansible_ssh_pass", "ansible_ssh_password"),
    verification=("ansible_host_key_checking", "ansible_ssh_host_key_checking"),
    connection_timeout=("ansible_ssh_timeout",),
    key_file=("ansible_private_key_file", "ansible_ssh_private_key_file"),
    passphrase=("ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase"),
)

SSH_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
"""Arguments of OpenSSH's client, in the order in which Ansible hands them over: what is said first counts."""

CONNECTION = ("ansible_connection",)
TRANSPORTS = ("orch_transports",)
CONTROL = ("orch_control",)
ZONE = "orch_zone"
"""What goes down together: a site, a rack, a power feed. It says nothing of how a host is reached."""

AUTH = {auth.value: auth for auth in Auth}
WINRM_AUTH = {
    "plaintext": Auth.BASIC,
    "ssl": Auth.BASIC,
    "basic": Auth.BASIC,
    "certificate": Auth.CERTIFICATE,
    "ntlm": Auth.NTLM,
    "negotiate": Auth.NEGOTIATE,
    "kerberos": Auth.KERBEROS,
    "credssp": Auth.CREDSSP,
}
"""pywinrm's words. `ssl` is a certificate where one is given."""

IGNORED = {
    "ansible_connection": "read by itself",
    "ansible_group_priority": "orders groups; it has had its effect",
    "ansible_shell_type": "what orch says over SSH is understood by cmd and by PowerShell",
    "ansible_shell_executable": "what orch says over SSH is understood by cmd and by PowerShell",
    "ansible_remote_tmp": "nothing is copied to the host",
    "ansible_async_dir": "nothing is copied to the host",
    "ansible_pipelining": "nothing is copied to the host",
    "ansible_python_interpreter": "Windows hosts need no Python",
    "ansible_timeout": "each wire has timeouts of its own",
    "ansible_psrp_ignore_proxy": "proxies of the environment are never used",
    "ansible_psrp_reconnection_retries": "orch retries by itself, and knows what may be sent twice",
    "ansible_psrp_reconnection_backoff": "orch retries by itself, and knows what may be sent twice",
    "ansible_psrp_connection_backoff": "orch retries by itself, and knows what may be sent twice",
    "ansible_psrp_max_envelope_size": "the size that every Windows takes is enough for orch's short answers",
    "ansible_ssh_retries": "orch retries by itself, and knows what may be sent twice",
    "ansible_ssh_pipelining": "nothing is copied to the host",
    "ansible_ssh_transfer_method": "nothing is copied to the host",
    "ansible_scp_if_ssh": "nothing is copied to the host",
    "ansible_scp_executable": "nothing is copied to the host",
    "ansible_scp_extra_args": "nothing is copied to the host",
    "ansible_sftp_batch_mode": "nothing is copied to the host",
    "ansible_sftp_executable": "nothing is copied to the host",
    "ansible_sftp_extra_args": "nothing is copied to the host",
    "ansible_control_path": "one connection for each host is kept while orch runs",
    "ansible_control_path_dir": "one connection for each host is kept while orch runs",
    "ansible_ssh_executable": "orch speaks SSH itself and starts no ssh",
    "ansible_ssh_use_tty": "orch speaks SSH itself and starts no ssh",
    "ansible_ssh_verbosity": "orch speaks SSH itself and starts no ssh",
    "ansible_ssh_password_mechanism": "orch speaks SSH itself and starts no ssh",
    "ansible_sshpass_prompt": "orch speaks SSH itself and starts no ssh",
    "ansible_facts": "what Ansible found out; orch looks by itself",
    "ansible_local": "what Ansible found out; orch looks by itself",
}
"""Accepted, and of no effect here: why."""

REFUSED = {
    "ansible_become": "connect as a user who may control the services",
    "ansible_winrm_kinit": "take a ticket with kinit before orch starts",
    "ansible_psrp_credssp": "leave it out: CredSSP is used as pypsrp has it by default",
    "ansible_winrm_credssp": "leave it out: CredSSP is used as pypsrp has it by default",
    "ansible_psrp_negotiate_send_cbt": "leave it out: channel bindings are always sent",
    "ansible_winrm_send_cbt": "leave it out: channel bindings are always sent",
    "ansible_psrp_password": "write `ansible_password`, as for Ansible",
    "ansible_psrp_pass": "write `ansible_password`, as for Ansible",
    "ansible_private_key": "write ansible_ssh_private_key_file, or use an agent",
    "ansible_ssh_private_key": "write ansible_ssh_private_key_file, or use an agent",
    "ansible_ssh_pkcs11_provider": "load the token into an agent: ssh-add -s PROVIDER",
    "ansible_winrm_connection_timeout": "write ansible_winrm_operation_timeout_sec and ansible_winrm_read_timeout_sec",
}
"""Not supported, by the beginning of the name: what to do instead."""


def _all(names: Names) -> set[str]:
    return {name for one_thing in names for name in one_thing}


KNOWN = frozenset(_all(PSRP) | _all(WINRM) | _all(SSH)) | {*SSH_ARGUMENTS, *TRANSPORTS, *CONTROL, ZONE}
"""Every name that counts under some transport. Under another one it has no effect, as in Ansible."""

HARMLESS = KNOWN | IGNORED.keys()
"""Every name that may stand in an inventory."""

WINRM_ALONE = frozenset(_all(WINRM) - _all(PSRP))
"""The names that count under `winrm` and not under `psrp`."""

ADDRESS = "ansible_host"
"""The one name for the address that counts under every `ansible_connection`."""

OURS = ("ansible_", "orch_")
"""How every name that is looked at begins."""

ADDRESSES = frozenset(PSRP.address + WINRM.address + SSH.address)
"""All names for it."""
