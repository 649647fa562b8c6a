# PowerShell completion for @program@

Register-ArgumentCompleter -Native -CommandName '@program@' -ScriptBlock {
    param($WordToComplete, $CommandAst, $CursorPosition)

    $Program = $CommandAst.CommandElements[0].Extent.Text
    # only what stands before the cursor counts
    $Words = @($CommandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.StartOffset -lt $CursorPosition } | ForEach-Object { $_.Extent.Text.Trim('"', "'") })
    if ($WordToComplete -eq '') {
        # an empty argument is lost on its way to a program by versions before 7.3
        $Words += if ($PSVersionTable.PSVersion -ge [version]'7.3') { '' } else { '""' }
    }
    $Answer = @(& $Program @ask@ $Words 2>$null)
    if ($Answer.Count -eq 0) { return }
    $Directive = [int]($Answer[-1].TrimStart(':'))
    $Prefix = if ($WordToComplete -match '^(--[^=]*=)') { $Matches[1] } else { '' }
    $Space = if ($Directive -band 2) { '' } else { ' ' }
    $Found = @($Answer | Select-Object -SkipLast 1 | Where-Object { $_ -ne '' } | ForEach-Object {
        $Word, $About = $_ -split "`t", 2
        if (-not $About) { $About = $Word }
        [System.Management.Automation.CompletionResult]::new("$Prefix$Word$Space", $Word, 'ParameterValue', $About)
    })
    # an empty string keeps PowerShell from completing files
    if ($Found.Count -eq 0 -and ($Directive -band 4)) { return '' }
    $Found
}
