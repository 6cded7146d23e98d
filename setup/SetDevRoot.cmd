@echo off
rem NOT VERIFIED: written for Windows 10 and 11; never run there.
rem
rem Sets the user's variable DEVROOT, the directory above the projects, and nothing else.
rem
rem     SetDevRoot.cmd [PATH] [/nopause | -q] [/planonly] [/liststeps] [/no-user-env-writes] [/assumeyes] [/?]
rem
rem Exit status: 0 set or unchanged, 1 error, 2 declined.
setlocal EnableExtensions DisableDelayedExpansion
set "WANTED="
set "PAUSE=1"
set "PLAN="
set "WRITE=1"
set "YES="

:arguments
if "%~1"=="" goto :read
if /i "%~1"=="/?" goto :help
if /i "%~1"=="/nopause" (set "PAUSE=" & shift & goto :arguments)
if /i "%~1"=="-q" (set "PAUSE=" & shift & goto :arguments)
if /i "%~1"=="/planonly" (set "PLAN=1" & shift & goto :arguments)
if /i "%~1"=="/liststeps" (set "PLAN=1" & shift & goto :arguments)
if /i "%~1"=="/no-user-env-writes" (set "WRITE=" & shift & goto :arguments)
if /i "%~1"=="/assumeyes" (set "YES=1" & shift & goto :arguments)
if defined WANTED (echo SetDevRoot: unknown argument %1 1>&2 & goto :error)
set "WANTED=%~1"
shift
goto :arguments

:read
set "PRESENT="
for /f "tokens=2,*" %%a in ('reg query HKCU\Environment /v DEVROOT 2^>nul ^| find "DEVROOT"') do set "PRESENT=%%b"
if defined PLAN goto :plan
if defined WANTED goto :validate
if not defined PAUSE (
    if defined PRESENT (set "WANTED=%PRESENT%" & goto :validate)
    echo SetDevRoot: name a directory, such as D:\dev 1>&2
    goto :error
)
rem Assuming yes never chooses the system's drive.
if defined YES (
    if exist D:\ (set "WANTED=D:\dev" & goto :validate)
    echo SetDevRoot: there is no drive D:; name a directory 1>&2
    goto :error
)
echo   1. D:\dev
echo   2. C:\dev
echo   3. another directory
set "CHOICE="
set /p "CHOICE=DEVROOT [1-3]: "
if "%CHOICE%"=="1" set "WANTED=D:\dev"
if "%CHOICE%"=="2" set "WANTED=C:\dev"
if "%CHOICE%"=="3" set /p "WANTED=Directory: "
if not defined WANTED goto :declined

:validate
for %%p in ("%WANTED%") do (set "WANTED=%%~fp" & set "DRIVE=%%~dp")
if "%WANTED:~-1%"=="\" set "WANTED=%WANTED:~0,-1%"
if not exist "%DRIVE%\" (echo SetDevRoot: there is no drive %DRIVE% 1>&2 & goto :error)
if /i "%WANTED%"=="%DRIVE%" (echo SetDevRoot: the root of a drive is no DEVROOT 1>&2 & goto :error)
call :below "%SystemRoot%" && goto :system
call :below "%ProgramFiles%" && goto :system
if defined ProgramFiles(x86) call :below "%ProgramFiles(x86)%" && goto :system
if /i "%PRESENT%"=="%WANTED%" (echo DEVROOT is %WANTED% already & goto :done)
if not defined PRESENT goto :write
if defined YES goto :write
if not defined PAUSE goto :write
set "CHOICE="
set /p "CHOICE=DEVROOT is %PRESENT%. Change it to %WANTED%? [y/N] "
if /i not "%CHOICE%"=="y" goto :declined

:write
if not defined WRITE (echo would set DEVROOT to %WANTED% & goto :done)
if not exist "%WANTED%\" mkdir "%WANTED%" || goto :error
setx DEVROOT "%WANTED%" >nul || goto :error
set "PRESENT="
for /f "tokens=2,*" %%a in ('reg query HKCU\Environment /v DEVROOT 2^>nul ^| find "DEVROOT"') do set "PRESENT=%%b"
if /i not "%PRESENT%"=="%WANTED%" (echo SetDevRoot: the variable was not kept 1>&2 & goto :error)
echo DEVROOT is now %WANTED%

:done
for %%d in (SKILLS kaizen kaizen-setup) do if exist "%WANTED%\%%d\" (echo   %%d: there) else (echo   %%d: not yet)
if defined PAUSE pause
endlocal & set "DEVROOT=%WANTED%"
exit /b 0

:plan
echo   1. read     Read the user's DEVROOT (now: %PRESENT%)
echo   2. choose   Choose and check a directory
echo   3. write    Set the user's DEVROOT
exit /b 0

:below
setlocal
set "ROOT=%~1"
call set "REST=%%WANTED:%ROOT%=%%"
if /i "%WANTED%"=="%ROOT%" (endlocal & exit /b 0)
if /i "%ROOT%%REST%"=="%WANTED%" if "%REST:~0,1%"=="\" (endlocal & exit /b 0)
endlocal
exit /b 1

:system
echo SetDevRoot: %WANTED% belongs to the system 1>&2
goto :error

:help
echo SetDevRoot.cmd [PATH] [/nopause ^| -q] [/planonly] [/liststeps] [/no-user-env-writes] [/assumeyes] [/?]
exit /b 0

:declined
echo nothing was changed
if defined PAUSE pause
exit /b 2

:error
if defined PAUSE pause
exit /b 1
