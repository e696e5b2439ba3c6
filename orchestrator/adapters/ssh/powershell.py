"""What is said to Windows PowerShell, and the frame in which it answers.

All of it is ASCII. A value travels as base64 of its UTF-8 between single quotes and is decoded on the host, so that
no value is ever read as code. An answer is `NONCE:BASE64:NONCE`, whatever stands around it; its payload is UTF-8, one
flat JSON object per line. In what is sent no colon stands beside the nonce, so an echo is no answer.
"""

import base64
from collections.abc import Iterable, Sequence
from subprocess import list2cmdline

from orchestrator.domain.powershell_words import wildcard
from orchestrator.domain.service import Asked, Control

READER = "powershell -NoLogo -NoProfile -NonInteractive -Command -"
"""Reads its commands from its standard input, one line each."""
ONCE = "powershell -NoLogo -NoProfile -NonInteractive -EncodedCommand "
"""Carries out the one script that follows in base64 of its UTF-16, and ends. Wants its input to end first."""
HOME = "$PSHOME"
"""A variable that PowerShell always has."""

_TEXT = (
    "$ProgressPreference='SilentlyContinue';$WarningPreference='SilentlyContinue';"
    "function OrchText([string]$b){[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($b))};"
    'function OrchSay([string]$n,$rows){$t=[Text.Encoding]::UTF8.GetBytes((@($rows) -join "`n"));'
    "[Console]::Out.WriteLine($n+':'+[Convert]::ToBase64String($t)+':'+$n);[Console]::Out.Flush()};"
    "function OrchWhy($e){$c=$null;$x=$e.Exception;"
    "while($null -ne $x){if($x -is [ComponentModel.Win32Exception]){$c=[int]$x.NativeErrorCode};$x=$x.InnerException};"
    "@{id=[string]$e.FullyQualifiedErrorId;text=[string]$e.Exception.Message;code=$c}};"
)
_READ = (
    "function OrchSc([string]$v,[string]$n){if($n -match '[\"=]'){return ''};"
    "try{return ((& sc.exe $v $n) -join \"`n\")}catch{return ''}};"
    "function OrchOne([int]$q,$s,[bool]$all){$n=[string]$s.Name;$t=$null;$d=0;$r='';$b='';$v='';"
    "if(-not $all){$v=OrchSc 'queryex' $n};"
    "try{if($null -ne $s.StartType){$t=[int]$s.StartType}}catch{};"
    "try{$d=[int](Get-ItemProperty -LiteralPath ('HKLM:\\SYSTEM\\CurrentControlSet\\Services\\'+$n) "
    "-ErrorAction Stop).DelayedAutostart}catch{};"
    "try{$r=@($s.ServicesDependedOn | ForEach-Object {$_.Name}) -join '/'}catch{};"
    "try{$b=@($s.DependentServices | ForEach-Object {$_.Name}) -join '/'}catch{};"
    "ConvertTo-Json -Compress -InputObject @{q=$q;name=$n;status=[int]$s.Status;type=$t;delayed=$d;"
    "display=[string]$s.DisplayName;stop=[bool]$s.CanStop;requires=$r;wanted=$b;sc=[string]$v}};"
    "function OrchUp{try{ConvertTo-Json -Compress -InputObject @{now=[DateTime]::UtcNow.Ticks;"
    "up=[Diagnostics.Stopwatch]::GetTimestamp();per=[Diagnostics.Stopwatch]::Frequency}}catch{}};"
    "function OrchRead([string]$n,[string]$asked){$q=-1;$rows=@(OrchUp;foreach($b in $asked.Split(',')){$q++;"
    "$a='Stop';if($b.StartsWith('*')){$a='SilentlyContinue'};"
    "$all=$b -eq '*Kg==';if($all){ConvertTo-Json -Compress -InputObject @{q=$q;"
    'all=[string]((& sc.exe queryex type= service state= all bufsize= 262144) -join "`n")}};'
    "try{foreach($s in @(Get-Service -Name (OrchText $b.TrimStart('*')) -ErrorAction $a)){OrchOne $q $s $all}}"
    "catch{$w=OrchWhy $_;$w.q=$q;ConvertTo-Json -Compress -InputObject $w}});OrchSay $n $rows};"
    "function OrchShow([string]$n,[string]$asked){$q=-1;$rows=@(foreach($b in $asked.Split(',')){$q++;"
    "ConvertTo-Json -Compress -InputObject @{q=$q;sc=(OrchSc 'sdshow' (OrchText $b))}});OrchSay $n $rows};"
    "function OrchPs([string]$n,[string]$ids){$w=@($ids.Split(',') | ForEach-Object {[int]$_});$told=@{};"
    "$f=@($w | ForEach-Object {'ProcessId='+$_}) -join ' OR ';"
    "try{foreach($p in @(Get-CimInstance -ClassName Win32_Process -Filter $f -OperationTimeoutSec 5 -ErrorAction Stop "
    "-Property 'ProcessId','ParentProcessId','Name','CreationDate')){$b=$null;$i=[int]$p.ProcessId;"
    "if($null -ne $p.CreationDate){$b=$p.CreationDate.ToUniversalTime().Ticks};"
    "$told[$i]=@{pid=$i;name=[string]$p.Name;parent=[int]$p.ParentProcessId;began=$b}}}"
    "catch{foreach($p in @(Get-Process -Id $w -ErrorAction SilentlyContinue)){$b=$null;$i=[int]$p.Id;"
    "try{$b=$p.StartTime.ToUniversalTime().Ticks}catch{};"
    "$told[$i]=@{pid=$i;name=[string]$p.ProcessName+'.exe';parent=$null;began=$b}}};"
    "OrchSay $n @(foreach($i in $told.Keys){ConvertTo-Json -Compress -InputObject $told[$i]})};"
    "function OrchFacts([string]$n){$t=[DateTime]::UtcNow.Ticks;$w='';"
    'try{$w=(& whoami.exe /user /groups /fo csv /nh) -join "`n"}catch{};'
    "OrchSay $n (ConvertTo-Json -Compress -InputObject "
    "@{now=$t;name=[Environment]::MachineName;version=[string]$PSVersionTable.PSVersion;sids=[string]$w})};"
)
DEFINE = _TEXT + _READ
"""The first line of a reader: what the later ones call. For PowerShell 5.1, and nothing newer."""

_CONTROLS = {Control.START: "Start-Service", Control.STOP: "Stop-Service", Control.RESUME: "Resume-Service"}
_BEGIN = "[Console]::Out.WriteLine('{nonce} began');[Console]::Out.Flush();"
_RUN = (
    "function OrchRun([string]$f,[string]$a){try{$p=New-Object System.Diagnostics.ProcessStartInfo;"
    "$p.FileName=$f;$p.Arguments=$a;$p.UseShellExecute=$false;$p.CreateNoWindow=$true;"
    "$p.RedirectStandardInput=$true;$p.RedirectStandardOutput=$true;$p.RedirectStandardError=$true;"
    "$x=[Diagnostics.Process]::Start($p);$x.StandardInput.Close();"
    "$e=$x.StandardError.ReadToEndAsync();$o=$x.StandardOutput.ReadToEnd();$x.WaitForExit();$e=$e.Result;"
    "@{exit=[int]$x.ExitCode;out=$o.Substring(0,[Math]::Min($o.Length,65536));"
    "err=$e.Substring(0,[Math]::Min($e.Length,65536))}}catch{OrchWhy $_}};"
)
"""Runs a program as CreateProcess does: no shell, no alias, its arguments as they are given."""


def shell_probe(nonce: str) -> str:
    """A command that a login shell answers by itself: `NONCE`, what it makes of HOME, and `-NONCE`.

    cmd leaves it as it is, a POSIX shell makes nothing of it, PowerShell a folder.
    """
    return f'echo "{nonce}{HOME}-{nonce}"'


def reading(nonce: str, asked: Sequence[Asked]) -> str:
    """A reader's line that asks for services: a row per service found or per error, with its question's index."""
    words = ",".join(("*" if one.pattern else "") + _coded(wildcard(one)) for one in asked)
    return f"OrchRead '{nonce}' '{words}'"


def descriptors(nonce: str, names: Iterable[str]) -> str:
    """A reader's line that asks for security descriptors: a row per name, in order."""
    return f"OrchShow '{nonce}' '{','.join(map(_coded, names))}'"


def processes(nonce: str, pids: Iterable[int]) -> str:
    """A reader's line that asks which of *pids* run: a row for each. Where Windows' management service does not say it,
    .NET does, without parents."""
    return f"OrchPs '{nonce}' '{','.join(f'{pid:d}' for pid in pids)}'"


def facts(nonce: str) -> str:
    """A reader's line that asks who and what answers: one row."""
    return f"OrchFacts '{nonce}'"


def alone(line: str) -> str:
    """A reader's line as a command of its own, where no reader can be fed."""
    return _encoded(DEFINE + line)


def control(nonce: str, name: str, wanted: Control) -> str:
    """A command that says `NONCE began`, asks for *wanted*, waits for as long as the cmdlet does, and says how it
    ended: one row, empty if all was well."""
    literal = _coded(wildcard(Asked(name)))
    return _encoded(
        _TEXT
        + _BEGIN.replace("{nonce}", nonce)
        + f"$r='{{}}';try{{{_CONTROLS[wanted]} -Name (OrchText '{literal}') -ErrorAction Stop}}"
        + f"catch{{$r=ConvertTo-Json -Compress -InputObject (OrchWhy $_)}};OrchSay '{nonce}' $r"
    )


def program(nonce: str, exe: str, args: Sequence[str]) -> str:
    """A command that says `NONCE began`, runs *exe*, and tells its output and exit code: one row.

    *args* become a command line by the rules of Microsoft's C runtime here, so no shell has a say in it.
    """
    called = f"OrchRun (OrchText '{_coded(exe)}') (OrchText '{_coded(list2cmdline(args))}')"
    return _encoded(
        _TEXT
        + _RUN
        + _BEGIN.replace("{nonce}", nonce)
        + f"OrchSay '{nonce}' (ConvertTo-Json -Compress -InputObject ({called}))"
    )


def sc(nonce: str, calls: Sequence[str], names: Iterable[str]) -> str:
    """A command that says `NONCE began` and runs sc.exe with each of *calls* (`qc ?`) for each name, which stands for
    the question mark: a row per run, in order."""
    words = ",".join(map(_coded, names))
    quoted = ",".join(f"'{call}'" for call in calls)
    return _encoded(
        _TEXT
        + _RUN
        + _BEGIN.replace("{nonce}", nonce)
        + f"$rows=@(foreach($b in '{words}'.Split(',')){{$s=(OrchText $b).Replace('\"','\\\"');"
        + f"foreach($v in @({quoted})){{"
        + "ConvertTo-Json -Compress -InputObject (OrchRun 'sc.exe' ($v.Replace('?','\"'+$s+'\"')))}});"
        + f"OrchSay '{nonce}' $rows"
    )


def _coded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _encoded(script: str) -> str:
    return ONCE + base64.b64encode(script.encode("utf-16-le")).decode()
