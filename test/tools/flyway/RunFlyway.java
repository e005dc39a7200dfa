import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.configuration.FluentConfiguration;
import org.flywaydb.database.postgresql.PostgreSQLConfigurationExtension;

/** Runs a command of Flyway on `migrations`, with settings as key=value: `migrate flyway.outOfOrder=true`. */
public class RunFlyway {
  public static void main(String[] args) {
    Map<String, String> settings = new HashMap<>();
    Arrays.stream(args).skip(1).map(arg -> arg.split("=", 2)).forEach(pair -> settings.put(pair[0], pair[1]));
    Map<String, String> env = System.getenv();
    FluentConfiguration configuration = Flyway.configure()
        .dataSource(env.get("JDBC_URL"), env.get("JDBC_USER"), env.get("JDBC_PASSWORD"))
        .locations("filesystem:migrations");
    String lock = settings.remove("flyway.postgresql.transactional.lock"); // as text it would need a further library
    if (lock != null)
      configuration.getConfigurationExtension(PostgreSQLConfigurationExtension.class)
          .setTransactionalLock(Boolean.parseBoolean(lock));
    Flyway flyway = configuration.configuration(settings).load();
    switch (args[0]) {
      case "migrate" -> flyway.migrate();
      case "validate" -> flyway.validate();
      case "repair" -> flyway.repair();
      case "baseline" -> flyway.baseline();
      default -> throw new IllegalArgumentException(args[0]);
    }
  }
}
