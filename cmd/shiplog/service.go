package main

import "github.com/spf13/cobra"

func newService() *cobra.Command {
	c := &cobra.Command{
		Use:   "service",
		Short: "Windows: install, start, stop, remove the service, or say how it is",
		Long: `Install shiplog as a Windows service, start and stop it, remove it, or say how it
is. This needs an administrator's rights. The service starts with the system,
after the services that others wait for, and again after a failure: after 5 s,
30 s, then each minute. What it has to say that needs somebody's attention is in
the event log (Application, source shiplog). sc control shiplog paramchange has
it reload its configuration, as shiplog reload does.

Its configuration is %ProgramData%\shiplog\shiplog.yaml unless --config names
another; its state is under %ProgramData%\shiplog\state, which only the system,
administrators and the service's account can read.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return errNoSubcommand() },
	}
	var config, account string
	install := &cobra.Command{
		Use:   "install [--config FILE] [--account NAME]",
		Short: "Register the service, for the configuration at FILE",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return serviceInstall(c, config, account) },
	}
	install.Flags().StringVarP(&config, "config", "c", "", "configuration `FILE` (default %ProgramData%\\shiplog\\shiplog.yaml)")
	install.Flags().StringVar(&account, "account", "", `the account that it runs as, such as "NT SERVICE\shiplog" or "NT AUTHORITY\LocalService", which has to be able to read the logs (default LocalSystem)`)
	c.AddCommand(install)
	for _, sub := range []struct {
		use, short string
		do         func(*cobra.Command) error
	}{
		{"start", "Start the service", serviceStart},
		{"stop", "Stop it: what is in flight is still acknowledged, at most for shutdown_timeout", serviceStop},
		{"remove", "Stop it and take it off the list of services; configuration and state stay", serviceRemove},
		{"status", "Say how it is; exit 0 if it runs", serviceStatus},
	} {
		c.AddCommand(&cobra.Command{Use: sub.use, Short: sub.short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return sub.do(c) }})
	}
	return c
}
