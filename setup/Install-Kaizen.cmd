@echo off
rem NOT VERIFIED: written for Windows 10 and 11; never run there.
rem
rem Installs Kaizen on Windows: Git, Rust and the C++ build tools through winget where they are missing, a checkout
rem below DEVROOT, and from there setup\setup.ps1.
rem
rem     Install-Kaizen.cmd [DEVROOT] [-RepoSource URL] [-Ref REF] [-ProjectName NAME] [-Programs DIR] [-NoDevTools]
rem         [-ListSteps] [-PlanOnly] [-SelfTest] [-NoNetwork] [-NoExternalActions] [-NoUserEnvWrites] [-NoPrompt]
rem
rem The PowerShell below the last marker line is copied out and run with the same arguments.
setlocal
set "KAIZEN_CMD=%~f0"
set "KAIZEN_PAYLOAD=%TEMP%\install-kaizen-%RANDOM%%RANDOM%.ps1"
powershell -NoProfile -ExecutionPolicy Bypass -Command "$t = [IO.File]::ReadAllText($env:KAIZEN_CMD); $m = '__KAIZEN_PS_' + 'PAYLOAD__'; [IO.File]::WriteAllText($env:KAIZEN_PAYLOAD, $t.Substring($t.LastIndexOf($m) + $m.Length))"
if errorlevel 1 exit /b 70
powershell -NoProfile -ExecutionPolicy Bypass -File "%KAIZEN_PAYLOAD%" %*
set "KAIZEN_STATUS=%ERRORLEVEL%"
del "%KAIZEN_PAYLOAD%" >nul 2>&1
exit /b %KAIZEN_STATUS%
__KAIZEN_PS_PAYLOAD__
[CmdletBinding(PositionalBinding = $false)]
param(
    [Parameter(Position = 0)][string] $DevRoot = '',
    [string] $RepoSource = 'https://github.com/kaizen-system/kaizen',
    [string] $Ref = '',
    [string] $ProjectName = 'kaizen',
    [string] $Programs = '',
    [switch] $NoDevTools,
    [switch] $ListSteps,
    [switch] $PlanOnly,
    [switch] $SelfTest,
    [switch] $NoNetwork,
    [switch] $NoExternalActions,
    [switch] $NoUserEnvWrites,
    [switch] $NoPrompt
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

function Stop-Install([string] $Message, [int] $Status = 1) {
    [Console]::Error.WriteLine("Install-Kaizen.cmd: $Message")
    exit $Status
}

if ($ProjectName -notmatch '^[A-Za-z0-9._-]+$' -or $ProjectName -in '.', '..') { Stop-Install "the name $ProjectName is not allowed" 64 }
if (-not $DevRoot) { $DevRoot = $env:DEVROOT }
if (-not $DevRoot -and -not $NoPrompt -and -not ($ListSteps -or $PlanOnly -or $SelfTest)) {
    $DevRoot = Read-Host 'DEVROOT, the directory above the projects, such as D:\dev'
}
if (-not $DevRoot) { Stop-Install 'name a DEVROOT, such as D:\dev' 64 }
$DevRoot = [IO.Path]::GetFullPath($DevRoot).TrimEnd('\')
$system = @($env:SystemRoot, $env:ProgramFiles, ${env:ProgramFiles(x86)}) | Where-Object { $_ }
if ($DevRoot -match '^[A-Za-z]:$' -or ($system | Where-Object { "$DevRoot\".StartsWith("$_\", [StringComparison]::OrdinalIgnoreCase) })) {
    Stop-Install "$DevRoot belongs to the system; choose another DEVROOT" 64
}
$checkout = Join-Path $DevRoot $ProjectName

function Test-Tool([string] $Name) { return [bool] (Get-Command $Name -ErrorAction SilentlyContinue) }

function Install-Package([string] $Id, [string[]] $More = @()) {
    if ($NoNetwork -or $NoExternalActions) { Stop-Install "a safety mode forbids this: install $Id" }
    if (-not (Test-Tool winget)) { Stop-Install "winget is missing; install $Id by hand" 69 }
    & winget install --exact --id $Id --silent --accept-package-agreements --accept-source-agreements @More
    if ($LASTEXITCODE -ne 0) { Stop-Install "winget could not install $Id" 69 }
    # What was installed is on the PATH of new processes only.
    $env:Path = [Environment]::GetEnvironmentVariable('Path', 'Machine') + ';' + [Environment]::GetEnvironmentVariable('Path', 'User')
}

function Test-BuildTools {
    $vswhere = Join-Path ${env:ProgramFiles(x86)} 'Microsoft Visual Studio\Installer\vswhere.exe'
    if (-not (Test-Path -LiteralPath $vswhere)) { return $false }
    return [bool] (& $vswhere -products * -requires Microsoft.VisualStudio.Component.VC.Tools.x86.x64 -property installationPath)
}

$steps = @(
    @{ Id = 'preflight'; Name = 'Look at this machine'; Action = { Write-Host "    $([Environment]::OSVersion.VersionString), DEVROOT $DevRoot" } },
    @{ Id = 'git'; Name = 'Git'; Action = { if (-not (Test-Tool git)) { Install-Package 'Git.Git' } } },
    @{ Id = 'rust'; Name = 'Rust'; Action = {
        if ($Programs) { return }
        if (-not (Test-Tool cargo)) { Install-Package 'Rustlang.Rustup' }
    } },
    @{ Id = 'buildtools'; Name = 'C++ build tools'; Action = {
        if ($Programs -or (Test-BuildTools)) { return }
        Install-Package 'Microsoft.VisualStudio.2022.BuildTools' @('--override', '--quiet --wait --add Microsoft.VisualStudio.Workload.VCTools --includeRecommended')
    } },
    @{ Id = 'devtools'; Name = 'Optional tools'; Action = {
        if ($NoDevTools -or $NoNetwork -or $NoExternalActions -or -not (Test-Tool winget)) { Write-Host '    skipped'; return }
        foreach ($id in 'jqlang.jq', 'BurntSushi.ripgrep.MSVC') {
            & winget install --exact --id $id --silent --accept-package-agreements --accept-source-agreements | Out-Null
        }
    } },
    @{ Id = 'clone'; Name = 'Clone or update the checkout'; Action = {
        [void] (New-Item -ItemType Directory -Force -Path $DevRoot)
        if (Test-Path -LiteralPath (Join-Path $checkout '.git')) {
            if ($NoNetwork) { return }
            & git -C $checkout pull --ff-only
            if ($LASTEXITCODE -ne 0) { Write-Warning 'the checkout could not be updated; it stays as it is' }
            return
        }
        if (Test-Path -LiteralPath $checkout) { Stop-Install "$checkout is there and is no git checkout; move it aside" }
        if ($NoNetwork -and -not (Test-Path -LiteralPath $RepoSource)) { Stop-Install "-NoNetwork forbids this: clone $RepoSource" }
        $branch = @(if ($Ref) { '--branch', $Ref })
        & git clone @branch -- $RepoSource $checkout
        if ($LASTEXITCODE -ne 0) { Stop-Install "cannot clone $RepoSource" 69 }
    } },
    @{ Id = 'handoff'; Name = 'Hand over to setup.ps1'; Action = {
        $parameters = @{ DevRoot = $DevRoot; NoNetwork = $NoNetwork; NoExternalActions = $NoExternalActions; NoUserEnvWrites = $NoUserEnvWrites; NoInput = $NoPrompt }
        if ($Programs) { $parameters['Programs'] = $Programs }
        & (Join-Path $checkout 'setup\setup.ps1') @parameters
        if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    } }
)

Write-Host "Install-Kaizen.cmd: $RepoSource to $checkout"
for ($at = 0; $at -lt $steps.Count; $at++) {
    $step = $steps[$at]
    $from = [Math]::Floor($at * 100 / $steps.Count)
    $to = [Math]::Floor(($at + 1) * 100 / $steps.Count)
    if ($ListSteps -or $PlanOnly) { Write-Host ('  {0,2}. {1,-12} {2,-32} {3,3}% -> {4,3}%' -f ($at + 1), $step.Id, $step.Name, $from, $to); continue }
    Write-Host ('==> [{0}/{1}] {2}' -f ($at + 1), $steps.Count, $step.Name)
    if ($SelfTest) { Write-Host '    SELFTEST'; continue }
    & $step.Action
}
exit 0
