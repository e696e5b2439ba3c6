"""The lab's PowerShell as a language: expressions with what Windows PowerShell 5.1 gives for them."""

from pathlib import Path

import pytest
from virtual_powershell import script

VALUES = [
    # numbers
    ("1 + 2 * 3", "7"),
    ("7 / 2; 6 / 2; 7 % 4; -7 % 4", "3.5 3 3 -3"),
    ("[int]2.5; [int]3.5; [int]'0x10'; [int]' 7 '", "2 4 16 7"),
    ("2147483647 + 1; (2147483647 + 1).GetType().Name; (2147483648).GetType().Name", "2147483648 Double Int64"),
    ("1kb; 0x1F; 1e3; 1.50; -5; (1L).GetType().Name", "1024 31 1000 1.5 -5 Int64"),
    ("5 -band 3; 5 -bor 3; 1 -shl 4; -bnot 0", "1 7 16 -1"),
    ("1..3; 3..1; @(1..3).Count", "1 2 3 3 2 1 3"),
    ("1..3 -contains 2; 1..3 -join '+'", "True 1+2+3"),
    ("1.0; 0.1 + 0.2; 1/3; 1e20", "1 0.3 0.333333333333333 1E+20"),
    ("'{0:D3}|{1,4}|{2,-3}|{0:X}|{3:N1}|{{' -f 10,'a','b',1234.56", "010|   a|b  |A|1,234.6|{"),
    ("'5' + 3; 5 + '3'; 'a' * 3", "53 8 aaa"),
    # strings
    ("'it''s'; 'a\u2019\u2019b'; \u2018x\u2019", "it's a\u2019b x"),
    ('$x = 5; "$x ${x}y $($x + 1) `$x ""q"""', '5 5y 6 $x "q"'),
    ('"$env:COMPUTERNAME.x"; $a = 1,2; "$a"; "$($a[1])"; "$a[1]"', "APP-01.x 1 2 2 1 2[1]"),
    ("'a,b,c'.Split(',')[1]; 'abc'.Substring(1,1); 'abc'.Length; 'abc'[-1]; ' x '.Trim()", "b b 3 c x"),
    ("'aXb' -split 'x'; 'a b  c' -split ' +' -join '.'; -split ' a b '", "a b a.b.c a b"),
    ("'a.b' -replace '\\.','-'; 'John' -replace '(.)ohn','$1im'; 'AbC'.ToLower()", "a-b Jim abc"),
    ("'abc'.StartsWith('a'); 'abc'.Contains('B'); 'abc'.IndexOf('c'); 'abc'.Replace('b','')", "True False 2 ac"),
    # comparison
    ("'a' -eq 'A'; 'a' -ceq 'A'; 'b' -gt 'a'; 1 -eq '1'; $null -eq @()", "True False True True False"),
    ("1,2,3,2 -eq 2; 1,2,3 -gt 1; 'ab','b' -like 'a*'", "2 2 2 3 ab"),
    ("'abc' -match '(?<m>b)c'; $Matches[0]; $Matches.m; 'abc' -notmatch 'x'", "True bc b True"),
    ("'x[1]' -like 'x`[1`]'; 'a' -in 'A','B'; @('a') -notcontains 'b'", "True True True"),
    (
        "5 -is [int]; 'a' -isnot [int]; @() -is [array]; '5' -as [int]; $null -eq ('x' -as [int])",
        "True True True 5 True",
    ),
    ("$true -and -not $false; $false -or 1; $true -xor $true; !0; !@(); !@(0)", "True True False True True True"),
    # collections
    ("@().Count; @(1).Count; @($null).Count; @(& {}).Count; $x = & {}; @($x).Count", "0 1 1 0 0"),
    ("$a = 1,2,3; $a[-1]; $a[0..1]; $a += 4; $a.Count; $null -eq $a[9]", "3 1 2 4 True"),
    (
        "$h = @{b=1; A=2}; $h.a; $h['B']; $h.x = 3; $h.Count; $h.ContainsKey('X'); $h.Remove('x'); $h.Count",
        "2 1 3 True 2",
    ),
    ("$o = [ordered]@{z=1; a=2}; $o.Keys -join ','; $o[0]; foreach ($e in $o.GetEnumerator()) { $e.Key }", "z,a 1 z a"),
    ("$p = [pscustomobject]@{a=1; b='x'}; $p.A; $p.b = 2; $p.b; \"$p\"; $null -eq $p.zzz", "1 2 @{a=1; b=2} True"),
    ("(1,2),(3,4) | ForEach-Object { $_.Count }; ,(1,2) | ForEach-Object { $_.Count }", "2 2 2"),
    ("$a, $b = 1, 2, 3; $a; $b -join '-'; $c = $d = 4; $c + $d", "1 2-3 8"),
    ("$l = New-Object System.Collections.ArrayList; [void]$l.Add('x'); $l.Add('y'); $l -join ','", "1 x,y"),
    ("@(@{n='a'},@{n='b'}).n -join ','; ('ab','c').Length", "a,b 2"),
    # statements
    ("if (1 -gt 2) {'a'} elseif (2 -gt 1) {'b'} else {'c'}; $v = if ($true) {'t'}; $v", "b t"),
    ("foreach ($i in 1..5) { if ($i -eq 2) {continue}; if ($i -eq 4) {break}; $i }", "1 3"),
    (":o foreach ($i in 1..3) { foreach ($j in 1..3) { if ($j -eq 2) { break o }; \"$i$j\" } }; 'end'", "11 end"),
    ("for ($i = 0; $i -lt 3; $i++) { $i }; while ($i -gt 1) { $i-- ; $i }; do { 'x' } until ($true)", "0 1 2 2 1 x"),
    ("switch (2) { 1 {'a'} 2 {'b'} 2 {'c'; break} default {'d'} }; switch ('z') { 'y' {1} default {2} }", "b c 2"),
    (
        "switch -wildcard ('abc') { 'a*' {'w'} }; switch -regex ('ab') { 'b$' {'r'} }; switch (1,2) { 1 {'i'} 2 {2} }",
        "w r i 2",
    ),
    ('function f { param([int]$n = 3, $s) "$n/$s" } f; f 5 x; f -s y; f -N 1 z', "3/ 5/x 3/y 1/z"),
    ('function g($a, [switch]$on) { "$a $on $args" } g 1; g -on 2 3', "1 False  2 True 3"),
    ("function r { 1; return 2; 3 } $x = r; $x -join ','; filter d { $_ * 2 } 1,2 | d", "1,2 2 4"),
    ("function p { begin {'b'} process { $_ } end {'e'} } 1,2 | p", "b 1 2 e"),
    ("$x = 1; function s { $x = 2; $x } s; $x; & { $x = 3 }; $x; . { $x = 4 }; $x; $script:x", "2 1 1 4 4"),
    (
        "& { param($a, $b) $a + $b } 1 2; $b = { $args[0] }; & $b 7; $s = @{a=1; b=5}; function t($a,$b) {$a+$b} t @s",
        "3 7 6",
    ),
    ("$i = 1; $i++; ($i++); $i; ++$i | Out-Null; $i; $i -= 2; $i", "2 3 4 2"),
    # pipelines
    (
        "1..9 | Where-Object { $_ % 2 } | Select-Object -First 2; 3,1,2 | Sort-Object; 'b','A' | sort -Descending",
        "1 3 1 2 3 b A",
    ),
    (
        "1,2,3 | ForEach-Object -Begin {0} -Process {$_} -End {9}; 'a','b' | % Length; 1..3 | ? { $_ -gt 2 }",
        "0 1 2 3 9 1 1 3",
    ),
    (
        "(1..4 | Measure-Object -Sum).Sum; (1..4 | measure).Count; 1,1,2 | select -Unique; 1..3 | select -Last 1",
        "10 4 1 2 3",
    ),
    (
        "$p = [pscustomobject]@{a=2;b=3}; ($p | Select-Object A, @{n='c';e={$_.a*2}}).c; $p | select -ExpandProperty b",
        "4 3",
    ),
    ("Write-Output a b; Write-Output a, 'b' ,c; echo x | Out-Null; 'y' > $null; [void]('z'); $null = 'q'", "a b a b c"),
    # .NET
    ("[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes('\u00e9'))", "w6k="),
    ("[Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('YQA='))", "a"),
    (
        "[string]::Join('-', 1, 2); [string]::IsNullOrEmpty(''); [int]::Parse('12') + 1; [Math]::Max(2, 3)",
        "1-2 True 13 3",
    ),
    ("[Management.Automation.WildcardPattern]::Escape('a[b]*?`')", "a`[b`]`*`?`"),
    ("[Environment]::MachineName; [Environment]::UserName; $PSVersionTable.PSVersion.Major", "APP-01 admin 5"),
    (
        "(Get-Date).GetType().FullName; [DateTime]::UtcNow.ToString('o').Length; [DateTime]::UtcNow.Ticks -gt 6e17",
        "System.DateTime 28 True",
    ),
    (
        "$up = [Diagnostics.Stopwatch]::GetTimestamp() / [Diagnostics.Stopwatch]::Frequency; [Math]::Floor($up / 8e4)",
        "3",
    ),
    ("[Security.Principal.WindowsIdentity]::GetCurrent().Groups[1].Value", "S-1-5-32-544"),
    (
        "'abc'.GetType().FullName; (1.5).GetType().Name; @(1).GetType().Name; [int[]](1,'2') -is [int[]]",
        "System.String Double Object[] True",
    ),
]


@pytest.mark.parametrize(("text", "wanted"), VALUES, ids=[text[:50] for text, _ in VALUES])
def test_what_5_1_gives(tmp_path: Path, text: str, wanted: str) -> None:
    ended = script(tmp_path, f"[Console]::OutputEncoding = [Text.Encoding]::UTF8; @({text}) -join ' '")
    assert ended.errors == ""
    assert ended.output.encode("cp437").decode("utf-8") == f"{wanted}\r\n"


JSON = [
    ("@{a=\"q'<>&`n\u00e9\"} | ConvertTo-Json -Compress", r'{"a":"q\u0027\u003c\u003e\u0026\n' + '\u00e9"}'),
    ("[ordered]@{n=$null;t=$true;i=1;d=1.5;w=2.0;l=@();s=(Get-Service Web).Status} | ConvertTo-Json -Compress",
     '{"n":null,"t":true,"i":1,"d":1.5,"w":2.0,"l":[],"s":4}'),
    ("@(1) | ConvertTo-Json -Compress; ConvertTo-Json @(1) -Compress", "1\r\n[1]"),
    ("@{a=@{b=@{c=@{d=1}}}} | ConvertTo-Json -Compress", '{"a":{"b":{"c":"System.Collections.Hashtable"}}}'),
    ("@{a=@{b=@{c=@{d=1}}}} | ConvertTo-Json -Compress -Depth 4", '{"a":{"b":{"c":{"d":1}}}}'),
    ("@{a=1;b=@(1,@{c=2})} | ConvertTo-Json",
     '{\r\n    "a":  1,\r\n    "b":  [\r\n              1,\r\n              {\r\n                  "c":  2\r\n'
     "              }\r\n          ]\r\n}"),
    ("$o = '{\"a\":[1,{\"b\":null}],\"c\":\"x\"}' | ConvertFrom-Json; $o.a[0] + 1; $o.c; ConvertTo-Json $o -Compress",
     '2\r\nx\r\n{"a":[1,{"b":null}],"c":"x"}'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), JSON, ids=[text[:50] for text, _ in JSON])
def test_json_as_5_1_writes_it(tmp_path: Path, text: str, wanted: str) -> None:
    ended = script(tmp_path, text)
    assert ended.errors == ""
    assert ended.output == f"{wanted}\r\n"


ERRORS = [
    ("nosuch 1", "CommandNotFoundException"),
    ("$null.foo()", "InvokeMethodOnNull"),
    ("'a'.Nope()", "MethodNotFound"),
    ("[int]'x'", "InvalidCastFromStringToInteger"),
    ("1 / 0", "RuntimeException"),
    ("[Nope.Type]::x", "TypeNotFound"),
    ("Get-Service nope", "NoServiceFoundForGivenName,Microsoft.PowerShell.Commands.GetServiceCommand"),
    ("Get-Service -Nope", "NamedParameterNotFound,Microsoft.PowerShell.Commands.GetServiceCommand"),
    ("Get-Service a b", "PositionalParameterNotFound,Microsoft.PowerShell.Commands.GetServiceCommand"),
    ("'abc'.Substring(5)", "ArgumentOutOfRangeException"),
    ("[Convert]::FromBase64String('!')", "FormatException"),
    ("$null[0]", "NullArray"),
    ("throw 'boom'", "boom"),
    ("a && b", "UnexpectedToken"),
    ("if (", "IncompleteParse"),
    ("'x' > file.txt", "LabNotSupported"),
    ("trap { 1 }", "LabNotSupported"),
    ("Get-WmiObject Win32_Service", "LabNotSupported"),
    ("[System.IO.File]::ReadAllText('x')", "TypeNotFound"),
    ("function f { f } f", "CallDepthOverflow"),
]


@pytest.mark.parametrize(("text", "id"), ERRORS, ids=[text for text, _ in ERRORS])
def test_what_is_wrong_or_not_there_is_an_error_by_name(tmp_path: Path, text: str, id: str) -> None:
    ended = script(tmp_path, text)
    assert f"    + FullyQualifiedErrorId : {id}\r\n" in ended.errors
    assert (ended.code, ended.output) == (1, "")


def test_an_error_ends_its_statement_and_throw_ends_the_script(tmp_path: Path) -> None:
    assert script(tmp_path, "1 / 0; 'on'; $?; nosuch; $?; Get-Service nope; 'still'").lines == [
        "on",
        "True",
        "False",
        "still",
    ]
    assert script(tmp_path, "'a'; throw 'x'; 'b'").lines == ["a"]
    assert script(tmp_path, "$ErrorActionPreference = 'Stop'; Get-Service nope; 'never'").lines == []


CAUGHT = [
    ("try { throw 'x' } catch { \"c $_\" } finally { 'f' }", "c x|f"),
    ("try { 1 / 0 } catch { $_.Exception.GetType().FullName }", "System.Management.Automation.RuntimeException"),
    ("try { [int]::Parse('x') } catch [FormatException] { 'typed' } catch { 'any' }", "typed"),
    ("try { [int]::Parse('x') } catch { $_.Exception.GetType().Name; $_.Exception.InnerException.GetType().Name }",
     "MethodInvocationException|FormatException"),
    ("function a { b }; function b { throw 'deep' }; try { a } catch { \"$_\" }; 'on'", "deep|on"),
    ("try { try { throw 'a' } catch { throw } } catch { \"again $_\" }", "again a"),
    ("try { throw [ArgumentException]'bad' } catch [ArgumentException] { $_.Exception.Message }", "bad"),
    ("try { Get-Service nope; 'goes on' } catch { 'no' }", "goes on"),
    ("try { Get-Service nope -ErrorAction Stop } catch { $_.FullyQualifiedErrorId.Split(',')[0]; $Error.Count }",
     "NoServiceFoundForGivenName|1"),
    ("foreach ($i in 1,2) { try { if ($i -eq 1) { continue }; $i } finally { \"f$i\" } }", "f1|2|f2"),
    ("function f { try { return 1 } finally { 'f' } } f", "1|f"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), CAUGHT, ids=[text[:50] for text, _ in CAUGHT])
def test_what_try_catches(tmp_path: Path, text: str, wanted: str) -> None:
    assert "|".join(script(tmp_path, text).lines) == wanted


def test_objects_are_shown_as_tables_and_lists(tmp_path: Path) -> None:
    table = script(tmp_path, "[pscustomobject]@{Name='a';V=1}, [pscustomobject]@{Name='bb';V=22}").lines
    assert [line.rstrip() for line in table] == ["", "Name V", "---- -", "a    1", "bb   22", "", ""]
    service = [line.rstrip() for line in script(tmp_path, "Get-Service Web").lines]
    assert service[1:4] == [
        "Status   Name               DisplayName",
        "------   ----               -----------",
        "Running  Web                Web site",
    ]
    wide = script(tmp_path, "[pscustomobject]@{a=1;bb=2;c=3;d=4;e=5}").lines
    assert [line for line in wide if line] == ["a  : 1", "bb : 2", "c  : 3", "d  : 4", "e  : 5"]
