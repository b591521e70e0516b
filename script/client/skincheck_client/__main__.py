from skincheck_client.command.main import main

main()
