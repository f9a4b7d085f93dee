# Stops and removes the shiplog service and its program. Run it as administrator.
# With -Purge configuration and state go too: all files would be sent again.
param([switch]$Purge)
$ErrorActionPreference = "Stop"

$program = Join-Path $env:ProgramFiles "shiplog"
if (Get-Service -Name shiplog -ErrorAction SilentlyContinue) {
    & (Join-Path $program "shiplog.exe") service remove
    if ($LASTEXITCODE -ne 0) { throw "the service could not be removed" }
}
Remove-Item -Recurse -Force $program -ErrorAction SilentlyContinue
if ($Purge) { Remove-Item -Recurse -Force (Join-Path $env:ProgramData "shiplog") -ErrorAction SilentlyContinue }
