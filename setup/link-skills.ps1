# NOT VERIFIED: written for Windows PowerShell 5.1 and PowerShell 7; never run there. link-skills.sh is the one that is
# tested.
<#
.SYNOPSIS
Links the skills of the store, DEVROOT\SKILLS\skills, into a project's .agents\skills and .claude\skills.
.PARAMETER StoreUrl
Clone this repository as the store, or update the clone that is there.
.PARAMETER Project
The project to link them into; this repository by default.
#>
[CmdletBinding(PositionalBinding = $false)]
param(
    [Parameter(Position = 0)][string] $StoreUrl = '',
    [string] $Project = '',
    [string] $DevRoot = '',
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
if (-not $Project) { $Project = $repoRoot }
try { $root = Resolve-DevRoot $DevRoot $repoRoot }
catch {
    [Console]::Error.WriteLine("link-skills.ps1: $($_.Exception.Message)")
    exit 2
}
$store = Join-Path $root 'SKILLS\skills'
$run = [pscustomobject]@{
    Installer = 'link-skills.ps1'; RepoRoot = $repoRoot; DevRoot = $root; LogRoot = Join-Path $root 'kaizen-setup\logs'
    ListSteps = [bool] $ListSteps; PlanOnly = [bool] $PlanOnly; SelfTest = [bool] $SelfTest
    NoProgressHeader = [bool] $NoProgressHeader; NoNetwork = [bool] $NoNetwork
    NoExternalActions = [bool] $NoExternalActions; NoUserEnvWrites = [bool] $NoUserEnvWrites; NoInput = [bool] $NoInput
}

Add-Step 'preflight' 'Look for the store' {
    if (-not $StoreUrl) {
        if (-not (Test-Path -LiteralPath $store)) { Stop-Setup "there is no store at $store; make it, or name a StoreUrl to clone" }
        return
    }
    if (-not (Get-Command git -ErrorAction SilentlyContinue)) { Stop-Setup 'git is missing' $ExUnavailable }
    Assert-Network $run 'clone or update the store'
    Assert-External $run 'clone or update the store'
}
Add-Step 'store' 'Clone or update the store' {
    if (-not $StoreUrl) { Skip-Step 'no StoreUrl: the store is taken as it is' }
    if (Test-Path -LiteralPath (Join-Path $store '.git')) {
        if ((Invoke-Logged $run 'git' @('-C', $store, 'pull', '--ff-only')) -ne 0) { Stop-Setup 'the store cannot be updated' }
    } elseif ((Test-Path -LiteralPath $store) -and (Get-ChildItem -Force -LiteralPath $store | Select-Object -First 1)) {
        Stop-Setup "$store holds something and is no clone; move it aside first"
    } else {
        if ((Invoke-Logged $run 'git' @('clone', '--', $StoreUrl, $store)) -ne 0) { Stop-Setup 'the store cannot be cloned' }
    }
}
Add-Step 'links' 'Link the skills' { Update-SkillLinks $store $Project $repoRoot }
Add-Step 'index' 'Check the index and list what is linked' {
    foreach ($mirror in '.agents', '.claude') {
        if (-not (Test-Path -LiteralPath (Join-Path $Project "$mirror\skills\INDEX.md"))) { Stop-Setup "$mirror\skills\INDEX.md is missing" 70 }
    }
}

exit (Invoke-Steps $run $EmitPlanJson)
