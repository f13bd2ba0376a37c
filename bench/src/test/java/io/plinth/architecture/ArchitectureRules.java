package io.plinth.architecture;

import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.assignableTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.equivalentTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.nameMatching;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import com.tngtech.archunit.lang.syntax.elements.ClassesShould;
import com.tngtech.archunit.lang.syntax.elements.GivenClassesConjunction;
import java.nio.Buffer;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.Timer;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionService;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;

/** The rules about who may use what. Each says what to use instead. */
final class ArchitectureRules {
  /**
   * Code that also runs in the simulator, where time, threads and chance belong to the simulator.
   */
  private static final String[] SIMULATED = {
    "io.plinth.raft..",
    "io.plinth.log.journal..",
    "io.plinth.log.recovery..",
    "io.plinth.log.replication..",
    "io.plinth.target.volume..",
    "io.plinth.target.node..",
    "io.plinth.target.nbd..",
    "io.plinth.target.forward.."
  };

  private ArchitectureRules() {}

  /** Returns all rules by a short name, in the order of the design's text. */
  static Map<String, ArchRule> all() {
    Map<String, ArchRule> rules = new LinkedHashMap<>();
    modules(rules);
    libraries(rules);
    simulated(rules);
    return rules;
  }

  private static void modules(Map<String, ArchRule> rules) {
    rules.put(
        "raft-lite is a leaf",
        mayNotUse("raft", "engine", "log", "target", "tools", "bench")
            .because(
                "raft-lite knows no other module: pass what it needs in as messages and actions"));
    rules.put(
        "io-engine is a leaf",
        mayNotUse("engine", "raft", "log", "target", "tools", "bench")
            .because(
                "io-engine knows no other module: let the upper one implement a port of engine.api"));
    rules.put(
        "replication-log looks down",
        mayNotUse("log", "target", "tools", "bench")
            .because(
                "replication-log knows raft-lite and io-engine only: let the upper one pass a callback in"));
    rules.put(
        "target-server looks down",
        mayNotUse("target", "raft", "tools", "bench")
            .because(
                "target-server knows replication-log and io-engine: reach consensus through log.replication"));
    rules.put(
        "tools and bench are apart",
        mayNotUse("tools", "bench")
            .because("tools and bench stand side by side: move shared code to target-server"));
    rules.put(
        "bench and tools are apart",
        mayNotUse("bench", "tools")
            .because("tools and bench stand side by side: move shared code to target-server"));
    rules.put(
        "target.main is the root",
        noClasses()
            .that()
            .resideInAPackage("io.plinth.target..")
            .and()
            .resideOutsideOfPackage("io.plinth.target.main..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("io.plinth.target.main..")
            .because(
                "target.main puts the others together: take what is needed as a constructor argument instead"));
    rules.put(
        "sim stays out of production",
        noClasses()
            .that(production())
            .should()
            .dependOnClassesThat(resideInAPackage("io.plinth..sim.."))
            .because(
                "simulated devices are for the simulator: use the port in engine.api instead"));
  }

  private static void libraries(Map<String, ArchRule> rules) {
    rules.put(
        "io_uring only in engine.uring",
        only("io.netty.channel.uring..", "io.plinth.engine.uring..")
            .because("the ring must stay replaceable: use the ports of engine.api instead"));
    rules.put(
        "Netty only in engine.uring, engine.net, target.admin",
        only(
                "io.netty..",
                "io.plinth.engine.uring..",
                "io.plinth.engine.net..",
                "io.plinth.target.admin..")
            .because(
                "protocol code also runs in the simulator: use engine.api.Connection instead"));
    rules.put(
        "Bouncy Castle only in target.security",
        only("org.bouncycastle..", "io.plinth.target.security..")
            .because("keys and certificates have one owner: use target.security instead"));
    rules.put(
        "Chronicle Queue only in target.audit",
        only("net.openhft..", "io.plinth.target.audit..")
            .because(
                "it never acknowledges data: use target.audit for records, log.journal for data instead"));
    rules.put(
        "HdrHistogram only in engine.metrics and bench",
        only("org.HdrHistogram..", "io.plinth.engine.metrics..", "io.plinth.bench..")
            .because(
                "histograms are recorded per thread and merged when read: use engine.metrics instead"));
  }

  private static void simulated(Map<String, ArchRule> rules) {
    rules.put(
        "simulated code reads no clock",
        noSimulated()
            .callMethodWhere(
                target(owner(assignableTo(System.class)))
                    .and(target(nameMatching("nanoTime|currentTimeMillis"))))
            .orShould()
            .callMethodWhere(
                target(owner(resideInAPackage("java.time..")))
                    .and(target(nameMatching("now|systemUTC|system.*"))))
            .allowEmptyShould(true)
            .because(
                "time belongs to the simulator: use engine.api.Clock, read once per duty cycle, instead"));
    rules.put(
        "simulated code starts no threads",
        noSimulated()
            .dependOnClassesThat(
                resideInAnyPackage("java.util.concurrent.locks..")
                    .or(assignableTo(Thread.class))
                    .or(assignableTo(Executor.class))
                    .or(assignableTo(Executors.class))
                    .or(assignableTo(CompletionService.class))
                    .or(assignableTo(Timer.class)))
            .orShould()
            .callMethodWhere(
                target(owner(assignableTo(CompletableFuture.class)))
                    .and(target(nameMatching(".*Async|orTimeout|completeOnTimeout|join|get"))))
            .allowEmptyShould(true)
            .because(
                "a core is one thread that never blocks: use engine.api.Core, Timers and completions instead"));
    rules.put(
        "simulated code synchronises nothing",
        classesOf(SIMULATED)
            .should(notBeSynchronized())
            .allowEmptyShould(true)
            .because("a core shares nothing: use the inbox of engine.api.Core instead"));
    rules.put(
        "simulated code opens nothing itself",
        noSimulated()
            .dependOnClassesThat(resideInAnyPackage("java.net..", "java.nio.channels.."))
            .allowEmptyShould(true)
            .because(
                "disks and networks belong to the simulator: use Connection, BlockFile, LogFile instead"));
    rules.put(
        "simulated code draws no lots",
        noSimulated()
            .callConstructor(Random.class)
            .orShould()
            .callConstructor(SplittableRandom.class)
            .orShould()
            .callMethod(Math.class, "random")
            .orShould()
            .callMethod(UUID.class, "randomUUID")
            .orShould()
            .dependOnClassesThat(
                assignableTo(SecureRandom.class).or(assignableTo(ThreadLocalRandom.class)))
            .allowEmptyShould(true)
            .because("one seed must replay a run: use engine.api.RandomSource instead"));
    rules.put(
        "simulated code has no hash order",
        noSimulated()
            .callConstructorWhere(target(owner(hashOrdered())))
            .orShould()
            .callMethodWhere(
                target(owner(equivalentTo(Map.class).or(equivalentTo(Set.class))))
                    .and(target(nameMatching("of|ofEntries|copyOf"))))
            .orShould()
            .callMethodWhere(
                target(owner(assignableTo(Collectors.class)))
                    .and(
                        target(
                            nameMatching("to(Unmodifiable)?(Set|Map)|groupingBy|toConcurrentMap"))))
            .allowEmptyShould(true)
            .because(
                "the order of iteration would differ from run to run: use TreeMap, LinkedHashMap, a list,"
                    + " or a primitive map of Agrona instead"));
    rules.put(
        "simulated code has no mutable statics",
        fields()
            .that()
            .areDeclaredInClassesThat()
            .resideInAnyPackage(SIMULATED)
            .and()
            .areStatic()
            .should(beConstant())
            .allowEmptyShould(true)
            .because(
                "many nodes run in one process of the simulator: use a field of the node instead"));
  }

  private static GivenClassesConjunction classesOf(String... packages) {
    return classes().that().resideInAnyPackage(packages);
  }

  private static ClassesShould noSimulated() {
    return noClasses().that().resideInAnyPackage(SIMULATED).should();
  }

  private static ArchRule mayNotUse(String module, String... others) {
    List<String> packages = new ArrayList<>();
    for (String other : others) {
      packages.add("io.plinth." + other + "..");
    }
    return noClasses()
        .that()
        .resideInAPackage("io.plinth." + module + "..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(packages.toArray(new String[0]))
        .allowEmptyShould(true);
  }

  private static ArchRule only(String library, String... users) {
    return noClasses()
        .that()
        .resideOutsideOfPackages(users)
        .and()
        .resideInAPackage("io.plinth..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage(library);
  }

  private static DescribedPredicate<JavaClass> production() {
    return DescribedPredicate.describe(
        "are production code",
        javaClass ->
            resideInAPackage("io.plinth..").test(javaClass)
                && !resideInAnyPackage("io.plinth..sim..", "io.plinth.tools.simulator..")
                    .test(javaClass));
  }

  private static DescribedPredicate<JavaClass> hashOrdered() {
    return DescribedPredicate.describe(
        "iterate in the order of hashes",
        javaClass ->
            List.of(
                    "java.util.HashMap",
                    "java.util.HashSet",
                    "java.util.IdentityHashMap",
                    "java.util.WeakHashMap",
                    "java.util.concurrent.ConcurrentHashMap")
                .contains(javaClass.getName()));
  }

  private static ArchCondition<JavaClass> notBeSynchronized() {
    return new ArchCondition<>("have no synchronized methods") {
      @Override
      public void check(JavaClass item, ConditionEvents events) {
        item.getMethods().stream()
            .filter(method -> method.getModifiers().contains(JavaModifier.SYNCHRONIZED))
            .forEach(method ->
                events.add(
                    SimpleConditionEvent.violated(
                        method, method.getDescription() + " is synchronized")));
      }
    };
  }

  /**
   * Final, and not of a type whose content can change: collections are typed List, Set or Map when
   * immutable.
   */
  private static ArchCondition<JavaField> beConstant() {
    return new ArchCondition<>("be constants") {
      @Override
      public void check(JavaField field, ConditionEvents events) {
        if (field.getModifiers().contains(JavaModifier.SYNTHETIC)) {
          return;
        }
        JavaClass type = field.getRawType();
        boolean changes =
            !field.getModifiers().contains(JavaModifier.FINAL)
                || (type.isArray() && !field.getModifiers().contains(JavaModifier.PRIVATE))
                || (!type.isInterface()
                    && (type.isAssignableTo(Collection.class) || type.isAssignableTo(Map.class)))
                || type.getPackageName().equals("java.util.concurrent.atomic")
                || type.isAssignableTo(StringBuilder.class)
                || type.isAssignableTo(Buffer.class);
        if (changes) {
          events.add(SimpleConditionEvent.violated(field, field.getDescription() + " can change"));
        }
      }
    };
  }
}
