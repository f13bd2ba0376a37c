package io.plinth.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Holds the production code to the rules, and proves with planted offenders that each rule can
 * fail.
 */
class ArchitectureTest {
  private static final Map<String, ArchRule> RULES = ArchitectureRules.all();

  private static JavaClasses production;
  private static JavaClasses planted;

  static Set<String> rules() {
    return RULES.keySet();
  }

  @BeforeAll
  static void readClasses() {
    production =
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("io.plinth");
    planted =
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.ONLY_INCLUDE_TESTS)
            .withImportOption(location -> location.contains("/planted/"))
            .importPackages("io.plinth");
  }

  @ParameterizedTest
  @MethodSource("rules")
  void theCodeKeepsTheRule(String rule) {
    RULES.get(rule).check(production);
  }

  @ParameterizedTest
  @MethodSource("rules")
  void theRuleCatchesItsPlantedOffender(String rule) {
    Set<String> offenders = Offenders.of(rule);
    assertThat(offenders).isNotEmpty();
    String report = RULES.get(rule).evaluate(planted).getFailureReport().toString();
    assertThat(report).contains(offenders);
  }

  @ParameterizedTest
  @MethodSource("rules")
  void theRuleDoesNotCatchTheInnocent(String rule) {
    assertThat(RULES.get(rule).evaluate(planted).getFailureReport().toString())
        .doesNotContain(".planted.Innocent");
  }

  @ParameterizedTest
  @MethodSource("rules")
  void theRuleNamesTheWayOut(String rule) {
    assertThat(RULES.get(rule).getDescription()).matches("(?s).*because.*(instead|: ).*");
  }

  @Test
  void theProductionClassesAreSeen() {
    assertThat(production.contain("io.plinth.target.admin.AdminServer")).isTrue();
    assertThat(production.contain("io.plinth.tools.cli.Main")).isTrue();
    assertThat(
            production.stream().noneMatch(javaClass -> javaClass.getName().contains(".planted.")))
        .isTrue();
  }
}
