# NOT VERIFIED: written for Windows PowerShell 5.1 and PowerShell 7; never run there. setup.sh is the one that is tested.
<#
.SYNOPSIS
Builds and installs kaizend.exe and kaizenctl.exe and opens a project's data plane. Safe to run again.
.DESCRIPTION
kaizenctl talks to kaizend over a named pipe and starts it when it needs it. There is no service on Windows.
Exit status: 0 done, 1 blocked or failed, 64 wrong call, 69 something is missing.
.PARAMETER DevRoot
The directory above the projects: logs, the state file and the skill store are there.
.PARAMETER Project
The project whose data plane is opened; this repository by default.
.PARAMETER Prefix
Install into Prefix\bin; %LOCALAPPDATA%\Programs\kaizen by default.
.PARAMETER Programs
Install the programs from this directory instead of building them.
.PARAMETER Uninstall
Remove the programs and take them off the user's PATH. Data planes, logs and skills stay.
#>
[CmdletBinding(PositionalBinding = $false)]
param(
    [Parameter(Position = 0)][string] $DevRoot = '',
    [string] $Project = '',
    [string] $Prefix = '',
    [string] $Programs = '',
    [switch] $Uninstall,
    [switch] $ListSteps,
    [switch] $PlanOnly,
    [string] $EmitPlanJson = '',
    [switch] $SelfTest,
    [switch] $NoProgressHeader,
    [switch] $NoNetwork,
    [switch] $NoExternalActions,
    [switch] $NoUserEnvWrites,
    [switch] $AssumeYes,
    [switch] $NoInput
)

. (Join-Path $PSScriptRoot 'lib.ps1')

$repoRoot = Split-Path -Parent $PSScriptRoot
try {
    $root = Resolve-DevRoot $DevRoot $repoRoot
    if (-not $Project) { $Project = $repoRoot }
    if (-not (Test-Path -LiteralPath $Project -PathType Container)) { Stop-Setup "there is no directory $Project" $ExUnavailable }
    $Project = (Resolve-Path -LiteralPath $Project).ProviderPath
} catch {
    [Console]::Error.WriteLine("setup.ps1: $($_.Exception.Message)")
    exit (Get-Status $_.Exception)
}
if (-not $Prefix) { $Prefix = Join-Path $env:LOCALAPPDATA 'Programs\kaizen' }
$bin = Join-Path ([IO.Path]::GetFullPath($Prefix)) 'bin'
$kaizenctl = Join-Path $bin 'kaizenctl.exe'
$built = @{}

$run = [pscustomobject]@{
    Installer = 'setup.ps1'; RepoRoot = $repoRoot; DevRoot = $root; LogRoot = Join-Path $root 'kaizen-setup\logs'
    ListSteps = [bool] $ListSteps; PlanOnly = [bool] $PlanOnly; SelfTest = [bool] $SelfTest
    NoProgressHeader = [bool] $NoProgressHeader; NoNetwork = [bool] $NoNetwork
    NoExternalActions = [bool] $NoExternalActions; NoUserEnvWrites = [bool] $NoUserEnvWrites; NoInput = [bool] $NoInput
}

function Invoke-Kaizen([string[]] $Arguments) {
    $text = & $kaizenctl @Arguments --project $Project --json
    if ($LASTEXITCODE -ne 0) { Stop-Setup "kaizenctl $($Arguments -join ' ') ended with status $LASTEXITCODE" }
    return $text | ConvertFrom-Json
}

# Adds a directory to the user's PATH, or takes it off.
function Set-UserPath([string] $Directory, [bool] $Wanted) {
    $parts = @([Environment]::GetEnvironmentVariable('Path', 'User') -split ';' | Where-Object { $_ })
    $others = @($parts | Where-Object { $_.TrimEnd('\') -ine $Directory })
    $new = if ($Wanted) { @($Directory) + $others } else { $others }
    if (($new -join ';') -ne ($parts -join ';')) { [Environment]::SetEnvironmentVariable('Path', $new -join ';', 'User') }
}

if ($Uninstall) {
    Add-Step 'programs' 'Stop the daemon and remove the programs' {
        if (Test-Path -LiteralPath $kaizenctl) { & $kaizenctl daemon stop --all | Out-Null }
        foreach ($name in 'kaizend.exe', 'kaizenctl.exe') { Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath (Join-Path $bin $name) }
        Write-Note "removed the programs from $bin; data planes (AI\db), logs and skills stay"
    }
    Add-Step 'environment' 'Take the programs off PATH' {
        if ($NoUserEnvWrites) { Skip-Step '-NoUserEnvWrites' }
        Set-UserPath $bin $false
    }
} else {
    Add-Step 'preflight' 'Look for what is needed' {
        if ($Programs) {
            foreach ($name in 'kaizend', 'kaizenctl') {
                $file = Join-Path $Programs "$name.exe"
                if (-not (Test-Path -LiteralPath $file)) { Stop-Setup "$Programs does not hold $name.exe" $ExUnavailable }
                $built[$name] = $file
            }
            return
        }
        $cargoHome = if ($env:CARGO_HOME) { $env:CARGO_HOME } else { Join-Path $env:USERPROFILE '.cargo' }
        if (-not (Get-Command cargo -ErrorAction SilentlyContinue)) { $env:Path = (Join-Path $cargoHome 'bin') + ';' + $env:Path }
        if (-not (Get-Command cargo -ErrorAction SilentlyContinue)) {
            Stop-Setup 'cargo is missing. Install Rust with rustup (https://rustup.rs) and the Visual Studio Build Tools with the C++ workload' $ExUnavailable
        }
    }
    Add-Step 'build' 'Build kaizend and kaizenctl' {
        if ($Programs) { Skip-Step '-Programs names built ones' }
        $target = if ($env:CARGO_TARGET_DIR) { $env:CARGO_TARGET_DIR } else { Join-Path $repoRoot 'target' }
        $offline = @(if ($NoNetwork) { '--offline' })
        Push-Location $repoRoot
        try {
            $status = Invoke-Logged $run 'cargo' (@('build', '--locked', '--quiet', '--release', '--package', 'kaizend') + $offline)
            if ($status -ne 0) { Stop-Setup 'kaizend does not build' }
            $status = Invoke-Logged $run 'cargo' (@('build', '--locked', '--quiet', '--profile', 'client', '--package', 'kaizenctl') + $offline)
            if ($status -ne 0) { Stop-Setup 'kaizenctl does not build' }
        } finally { Pop-Location }
        $built['kaizend'] = Join-Path $target 'release\kaizend.exe'
        $built['kaizenctl'] = Join-Path $target 'client\kaizenctl.exe'
    }
    Add-Step 'programs' 'Install the programs' {
        [void] (New-Item -ItemType Directory -Force -Path $bin)
        $changed = @('kaizend', 'kaizenctl' | Where-Object {
            $there = Join-Path $bin "$_.exe"
            -not (Test-Path -LiteralPath $there) -or
                (Get-FileHash -LiteralPath $there).Hash -ne (Get-FileHash -LiteralPath $built[$_]).Hash
        })
        if (-not $changed) { Write-Note 'the installed programs are up to date'; return }
        # Windows does not replace a program that runs.
        if (Test-Path -LiteralPath $kaizenctl) { & $kaizenctl daemon stop --all | Out-Null }
        foreach ($name in $changed) {
            Copy-Item -Force -LiteralPath $built[$name] -Destination (Join-Path $bin "$name.exe")
            Write-Note "installed $bin\$name.exe"
        }
    }
    Add-Step 'environment' 'Put the programs on PATH' {
        if ($NoUserEnvWrites) { Skip-Step "-NoUserEnvWrites: add $bin to PATH yourself" }
        Set-UserPath $bin $true
    }
    Add-Step 'skills' 'Link the skill store' {
        $store = Join-Path $root 'SKILLS\skills'
        [void] (New-Item -ItemType Directory -Force -Path $store)
        if ($Project -ine $repoRoot) { Skip-Step 'the project is not this repository; link-skills.ps1 -Project links skills there' }
        Update-SkillLinks $store $Project $repoRoot
    }
    Add-Step 'workspace' "Write the editor's workspace" {
        if ($Project -ine $repoRoot) { Skip-Step 'the project is not this repository' }
        $name = (Split-Path -Leaf $Project) -replace '[^A-Za-z0-9._-]', '-'
        $label = if ($name -ieq 'kaizen') { 'Kaizen' } else { $name }
        $workspace = [ordered]@{
            folders = @([ordered]@{ name = $label; path = '..' }, [ordered]@{ name = 'Skills'; path = (Join-Path $root 'SKILLS') })
            settings = @{}
        }
        [void] (Write-Text (Join-Path $Project "_workspace\$name-tools.code-workspace") (($workspace | ConvertTo-Json -Depth 5) + "`n"))
        [void] (Write-Text (Join-Path $Project "open-$name-vscode.cmd") "@echo off`r`ncode `"%~dp0_workspace\$name-tools.code-workspace`" %*`r`n")
    }
    Add-Step 'db' 'Open the data plane' {
        [void] (Invoke-Kaizen @('K1'))
        Write-Note "the data plane of $Project is open"
    }
    Add-Step 'summary' 'Show the digest' { & $kaizenctl R0 --project $Project }
}

exit (Invoke-Steps $run $EmitPlanJson)
