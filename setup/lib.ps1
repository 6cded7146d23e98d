# NOT VERIFIED: written for Windows PowerShell 5.1 and PowerShell 7; never run there.
#
# What setup.ps1 and link-skills.ps1 have in common, as setup/lib.sh has it for the shell scripts: DEVROOT, the plan,
# running steps, logs, the state file and links. Dot-sourced after the parameters of the script that uses it.

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

# Exit statuses, as in sysexits.h.
$script:ExUsage = 64
$script:ExUnavailable = 69

$script:Steps = New-Object System.Collections.ArrayList
$script:CommandCount = 0

# Ends the run with a status. No classes: a script that dot-sources this one could not name them in its `catch`.
function Stop-Setup([string] $Message, [int] $Status = 1) {
    $stop = New-Object System.InvalidOperationException $Message
    $stop.Data['KaizenStatus'] = $Status
    throw $stop
}
# Ends a step that has nothing to do, or was not asked for.
function Skip-Step([string] $Reason) {
    $skip = New-Object System.InvalidOperationException $Reason
    $skip.Data['KaizenSkip'] = $true
    throw $skip
}
function Get-Status($Exception) {
    if ($Exception.Data.Contains('KaizenStatus')) { return [int] $Exception.Data['KaizenStatus'] }
    return 1
}
function Write-Note([string] $Text) { Write-Host "    $Text" }

# Whether a directory belongs to the system.
function Test-ProtectedRoot([string] $Path) {
    $full = [IO.Path]::GetFullPath($Path).TrimEnd('\')
    if ($full -match '^[A-Za-z]:$') { return $true }
    $system = @($env:SystemRoot, $env:ProgramFiles, ${env:ProgramFiles(x86)}, $env:ProgramData) | Where-Object { $_ }
    foreach ($one in $system) {
        $one = $one.TrimEnd('\')
        if ($full -ieq $one -or $full.StartsWith("$one\", [StringComparison]::OrdinalIgnoreCase)) { return $true }
    }
    return $false
}

# DEVROOT: the parameter, else the variable, else the directory above the repository, which must not be on C:.
function Resolve-DevRoot([string] $Given, [string] $RepoRoot) {
    $chosen = $Given
    if (-not $chosen) { $chosen = $env:DEVROOT }
    if (-not $chosen) {
        $chosen = Split-Path -Parent $RepoRoot
        if ($chosen -match '^[Cc]:') {
            Stop-Setup 'DEVROOT is not set, and C: is not taken by default: pass -DevRoot, or run SetDevRoot.cmd' $script:ExUsage
        }
    }
    $full = [IO.Path]::GetFullPath($chosen)
    if (Test-ProtectedRoot $full) { Stop-Setup "$full belongs to the system; choose another DEVROOT" $script:ExUsage }
    return $full.TrimEnd('\')
}

function Add-Step([string] $Id, [string] $Name, [scriptblock] $Action) {
    [void] $script:Steps.Add([pscustomobject]@{
        Id = $Id; Name = $Name; Action = $Action; Status = ''; Seconds = 0; Reason = ''
    })
}

function Get-Percent([int] $At) { return [int][Math]::Floor($At * 100 / $script:Steps.Count) }

function Show-Plan($Run) {
    Write-Host "Plan of $($Run.Installer)"
    Write-Host "  RepoRoot:  $($Run.RepoRoot)"
    Write-Host "  DEVROOT:   $($Run.DevRoot)"
    Write-Host "  Logs:      $($Run.LogRoot)"
    for ($at = 0; $at -lt $script:Steps.Count; $at++) {
        $step = $script:Steps[$at]
        Write-Host ('  {0,2}. {1,-13} {2,-46} {3,3}% -> {4,3}%' -f ($at + 1), $step.Id, $step.Name, (Get-Percent $at), (Get-Percent ($at + 1)))
    }
}

# Writes a text as UTF-8 without a byte order mark, under another name first.
function Write-Text([string] $Path, [string] $Text) {
    if ((Test-Path -LiteralPath $Path) -and ([IO.File]::ReadAllText($Path) -ceq $Text)) { return $false }
    [void] (New-Item -ItemType Directory -Force -Path (Split-Path -Parent $Path))
    $partial = "$Path.$PID.partial"
    [IO.File]::WriteAllText($partial, $Text, (New-Object System.Text.UTF8Encoding $false))
    Move-Item -Force -LiteralPath $partial -Destination $Path
    return $true
}

function Write-PlanJson($Run, [string] $Path) {
    $at = 0
    $steps = @($script:Steps | ForEach-Object { $at++; [ordered]@{ index = $at; id = $_.Id; name = $_.Name } })
    $plan = [ordered]@{
        installer = $Run.Installer; repoRoot = $Run.RepoRoot; devRoot = $Run.DevRoot; logRoot = $Run.LogRoot
        planOnly = $Run.PlanOnly; selfTest = $Run.SelfTest
        safety = [ordered]@{
            noNetwork = $Run.NoNetwork; noExternalActions = $Run.NoExternalActions
            noUserEnvWrites = $Run.NoUserEnvWrites; noInput = $Run.NoInput
        }
        steps = $steps
        generatedAt = (Get-Date).ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ')
    }
    [void] (Write-Text ([IO.Path]::GetFullPath($Path)) (($plan | ConvertTo-Json -Depth 5) + "`n"))
}

function Write-State($Run) {
    $done = @($script:Steps | Where-Object { $_.Status } | ForEach-Object {
        [ordered]@{ id = $_.Id; name = $_.Name; status = $_.Status; elapsedSeconds = $_.Seconds; reason = $_.Reason }
    })
    $state = [ordered]@{
        installer = $Run.Installer; lastRun = (Get-Date).ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ')
        repoRoot = $Run.RepoRoot; devRoot = $Run.DevRoot; steps = $done
    }
    [void] (Write-Text (Join-Path $Run.DevRoot 'kaizen-setup\setup-state.json') (($state | ConvertTo-Json -Depth 5) + "`n"))
}

function Write-StepLine($Run, [int] $Percent, [int] $Index, [string] $Word, [string] $Name) {
    if (-not $Run.NoProgressHeader) {
        [Console]::Error.WriteLine(('[{0,3}%] [{1}/{2}] {3}: {4}' -f $Percent, $Index, $script:Steps.Count, $Word, $Name))
    }
}

# Runs what was planned, in the mode that was asked for. Returns the exit status.
function Invoke-Steps($Run, [string] $EmitPlanJson) {
    if ($Run.ListSteps -or $Run.PlanOnly) {
        Show-Plan $Run
        if ($EmitPlanJson) { Write-PlanJson $Run $EmitPlanJson }
        return 0
    }
    if ($EmitPlanJson) { Write-PlanJson $Run $EmitPlanJson }
    for ($at = 0; $at -lt $script:Steps.Count; $at++) {
        $step = $script:Steps[$at]
        Write-Host ('==> [{0}/{1}] {2}' -f ($at + 1), $script:Steps.Count, $step.Name)
        if ($Run.SelfTest) {
            Write-StepLine $Run (Get-Percent ($at + 1)) ($at + 1) 'SELFTEST' $step.Name
            continue
        }
        Write-StepLine $Run (Get-Percent $at) ($at + 1) 'working' $step.Name
        $started = Get-Date
        $status = 0
        try {
            # What a step prints is for people, not a part of this function's value.
            & $step.Action | Out-Host
            $step.Status = 'OK'
        } catch {
            $step.Reason = $_.Exception.Message
            if ($_.Exception.Data.Contains('KaizenSkip')) {
                $step.Status = 'SKIPPED'
                Write-Note "skipped: $($step.Reason)"
            } else {
                $step.Status = 'FAILED'
                $status = Get-Status $_.Exception
                [Console]::Error.WriteLine("$($Run.Installer): $($step.Reason)")
            }
        }
        $step.Seconds = [int]((Get-Date) - $started).TotalSeconds
        Write-StepLine $Run (Get-Percent ($at + 1)) ($at + 1) $step.Status $step.Name
        Write-State $Run
        if ($status -ne 0) { return $status }
    }
    return 0
}

function Assert-Network($Run, [string] $What) { if ($Run.NoNetwork) { Stop-Setup "-NoNetwork forbids this: $What" } }
function Assert-External($Run, [string] $What) {
    if ($Run.NoExternalActions) { Stop-Setup "-NoExternalActions forbids this: $What" }
}

# Runs a program with its output in a log of its own; shows the end of it when it fails.
function Invoke-Logged($Run, [string] $Program, [string[]] $Arguments) {
    $script:CommandCount++
    [void] (New-Item -ItemType Directory -Force -Path $Run.LogRoot)
    $exe = [IO.Path]::GetFileNameWithoutExtension($Program)
    $log = Join-Path $Run.LogRoot ('command-{0}-{1:000}-{2}.log' -f (Get-Date -Format 'yyyyMMdd-HHmmss'), $script:CommandCount, $exe)
    "COMMAND: $Program $($Arguments -join ' ')", "STARTED: $(Get-Date -Format o)" | Set-Content -LiteralPath $log -Encoding UTF8
    # A native program's standard error is no error of ours.
    $before = $ErrorActionPreference
    $ErrorActionPreference = 'Continue'
    try { & $Program @Arguments 2>&1 | ForEach-Object { "$_" } | Add-Content -LiteralPath $log -Encoding UTF8 }
    finally { $ErrorActionPreference = $before }
    $status = $LASTEXITCODE
    "FINISHED: $(Get-Date -Format o)", "EXIT CODE: $status" | Add-Content -LiteralPath $log -Encoding UTF8
    if ($status -ne 0) {
        [Console]::Error.WriteLine("$exe ended with status $status; the end of ${log}:")
        Get-Content -LiteralPath $log -Tail 14 | Select-Object -First 12 | ForEach-Object { [Console]::Error.WriteLine($_) }
    }
    return $status
}

# Mirrors the skill store in a project: a junction for each skill, and the standing INDEX.md of a checkout.
function Update-SkillLinks([string] $Store, [string] $Project, [string] $RepoRoot) {
    $linked = 0
    $kept = 0
    foreach ($mirror in @('.agents\skills', '.claude\skills')) {
        $folder = Join-Path $Project $mirror
        [void] (New-Item -ItemType Directory -Force -Path $folder)
        $lines = @('# Skills linked here', '', 'Made by setup\link-skills.ps1; not tracked. INDEX.md says how this folder works.', '')
        if (Test-Path -LiteralPath $Store) {
            foreach ($skill in Get-ChildItem -LiteralPath $Store -Directory) {
                if (-not (Test-Path -LiteralPath (Join-Path $skill.FullName 'SKILL.md'))) { continue }
                $link = Join-Path $folder $skill.Name
                if (Test-Path -LiteralPath $link) { $kept++ }
                else {
                    [void] (New-Item -ItemType Junction -Path $link -Value $skill.FullName)
                    $linked++
                }
                $lines += "- [$($skill.Name)]($($skill.Name)/SKILL.md)"
            }
        }
        $index = Join-Path $folder 'INDEX.md'
        if (-not (Test-Path -LiteralPath $index)) {
            Copy-Item -LiteralPath (Join-Path $RepoRoot '.agents\skills\INDEX.md') -Destination $index
        }
        [void] (Write-Text (Join-Path $folder 'LINKED.md') (($lines -join "`n") + "`n"))
        $ignore = Join-Path $folder '.gitignore'
        if (-not (Test-Path -LiteralPath $ignore)) { [void] (Write-Text $ignore "*`n!.gitignore`n!INDEX.md`n") }
    }
    Write-Note "links made: $linked, kept: $kept"
}
