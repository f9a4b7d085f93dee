# Installs shiplog as a Windows service, or replaces the program of one that is
# there; configuration and state stay. Run it as administrator, in the folder that
# the archive was unpacked to:
#
#   powershell -ExecutionPolicy Bypass -File install.ps1 [-Account "NT SERVICE\shiplog"]
#
# The program goes to %ProgramFiles%\shiplog, the configuration to
# %ProgramData%\shiplog\shiplog.yaml, which it writes only if there is none.
param([string]$Account = "")
$ErrorActionPreference = "Stop"

$identity = [Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()
if (-not $identity.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    throw "Run this as administrator."
}
$program = Join-Path $env:ProgramFiles "shiplog"
$data = Join-Path $env:ProgramData "shiplog"
$exe = Join-Path $program "shiplog.exe"
$config = Join-Path $data "shiplog.yaml"

function Invoke-Checked([string]$File, [string[]]$Arguments) {
    & $File @Arguments
    if ($LASTEXITCODE -ne 0) { throw "$File $Arguments ended with status $LASTEXITCODE" }
}

$service = Get-Service -Name shiplog -ErrorAction SilentlyContinue
if ($service -and $service.Status -ne "Stopped") { Invoke-Checked $exe @("service", "stop") }

New-Item -ItemType Directory -Force -Path $program, $data | Out-Null
# Whoever may write here could have the service read other files; and a
# configuration may hold passwords. By SIDs, since names differ by language.
Invoke-Checked icacls @($data, "/inheritance:r", "/grant:r", "*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F")
New-Item -ItemType Directory -Force -Path (Join-Path $data "conf.d") | Out-Null
Copy-Item -Force (Join-Path $PSScriptRoot "shiplog.exe") $exe
if (-not (Test-Path $config)) {
    Copy-Item (Join-Path $PSScriptRoot "shiplog.example.yaml") $config
}
if (-not $service) {
    $arguments = @("service", "install", "--config", $config)
    if ($Account) { $arguments += @("--account", $Account) }
    Invoke-Checked $exe $arguments
}
if ($Account) { # it reads its configuration, and keeps its state
    Invoke-Checked icacls @($data, "/grant", "${Account}:(OI)(CI)RX")
    $state = Join-Path $data "state"
    New-Item -ItemType Directory -Force -Path $state | Out-Null
    Invoke-Checked icacls @($state, "/grant", "${Account}:(OI)(CI)M")
}
Write-Host "Edit $config, check it (`"$exe`" check --connect --config `"$config`"), then: `"$exe`" service start"
